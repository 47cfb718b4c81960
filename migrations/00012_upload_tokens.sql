-- What a tenant hands to browsers of its own customers.

-- +goose Up
CREATE TABLE upload_tokens (
  digest     bytea PRIMARY KEY, -- SHA-256 of the token, which is kept nowhere
  tenant     text COLLATE "C" NOT NULL,
  max_bytes  bigint NOT NULL,
  used_bytes bigint NOT NULL DEFAULT 0, -- declared by the uploads that it created
  expires_at timestamptz NOT NULL
);

-- Which upload came by which token: it reaches no other.
CREATE TABLE token_uploads (
  upload_id text COLLATE "C" PRIMARY KEY REFERENCES uploads ON DELETE CASCADE,
  digest    bytea NOT NULL REFERENCES upload_tokens ON DELETE CASCADE,
  tenant    text COLLATE "C" NOT NULL
);
CREATE INDEX token_uploads_digest_idx ON token_uploads (digest); -- deletes a token's with it

-- +goose Down
DROP TABLE token_uploads, upload_tokens;
