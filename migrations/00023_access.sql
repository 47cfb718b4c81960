-- Who may ask for what.

-- +goose Up

-- No row is ever deleted: the first key closes what was open to all, and the end
-- of the last one opens nothing again.
CREATE TABLE access_keys (
  id          text COLLATE "C" PRIMARY KEY, -- how the key begins, which may be shown
  tenant      text COLLATE "C" NOT NULL CHECK (tenant <> ''),
  role        text COLLATE "C" NOT NULL CHECK (role IN ('upload', 'read', 'admin')),
  name        text NOT NULL, -- what its owner calls it; '' for nothing
  digest      bytea NOT NULL CHECK (octet_length(digest) = 32), -- SHA-256 of the key, which is kept nowhere
  replaced_by text COLLATE "C" REFERENCES access_keys, -- NULL: not rotated
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  used_at     timestamptz, -- to the minute; NULL: never
  expires_at  timestamptz, -- NULL: never
  revoked_at  timestamptz  -- NULL: not revoked
);

-- Sessions of the page that were begun with a key of that table, or with a token
-- of the issuer. One ends with its key.
CREATE TABLE access_sessions (
  digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32), -- SHA-256 of the cookie's value
  tenant     text COLLATE "C" NOT NULL CHECK (tenant <> ''),
  role       text COLLATE "C" NOT NULL CHECK (role IN ('upload', 'read', 'admin')),
  key_id     text COLLATE "C" REFERENCES access_keys, -- NULL: begun with an issuer's token
  subject    text NOT NULL, -- whom the issuer named; '' of a key
  expires_at timestamptz NOT NULL
);
CREATE INDEX access_sessions_expiring ON access_sessions (expires_at); -- those that are over are dropped, oldest first

-- +goose Down
DROP TABLE access_sessions, access_keys;
