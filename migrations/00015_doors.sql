-- What the doors beside tus need: uploads that one request writes, and answers
-- that are given again.

-- +goose Up

-- once marks an upload that one request writes from its beginning to its end: it
-- ends soon after that request has, and tus does not know it.
ALTER TABLE uploads ADD COLUMN once boolean NOT NULL DEFAULT false;

-- Requests with an Idempotency-Key. While fingerprint is NULL one is under way,
-- or was until its process died: then the key is free from expires_at on.
CREATE TABLE idempotency_keys (
  tenant      text NOT NULL,
  key         text COLLATE "C" NOT NULL,
  holder      text NOT NULL, -- the request under way, or that was answered
  expires_at  timestamptz NOT NULL,
  fingerprint bytea CHECK (octet_length(fingerprint) = 32), -- SHA-256 of what was asked
  job_id      text COLLATE "C",
  status      int,
  answer      text,
  PRIMARY KEY (tenant, key),
  CONSTRAINT idempotency_answered CHECK ((fingerprint IS NULL) = (answer IS NULL) AND (answer IS NULL) = (status IS NULL))
);

-- Keys whose time is over are dropped some at a time, oldest first.
CREATE INDEX idempotency_expiring ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
ALTER TABLE uploads DROP COLUMN once;
