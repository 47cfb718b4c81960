-- Jobs whose file comes in numbered batches.

-- +goose Up

-- 'batches' is a list of partial uploads that grows until all of them have come.
-- A batch's partial upload is gone as soon as it is in the list, which keeps its
-- parts: concats names it, at the position of its number.
ALTER TABLE uploads
  DROP CONSTRAINT uploads_concat_check,
  ADD CONSTRAINT uploads_concat_check CHECK (concat IN ('', 'partial', 'final', 'batches'));

-- Like the upload's, a row outlives the job: a session that has ended stays so.
CREATE TABLE batched (
  upload_id           text COLLATE "C" PRIMARY KEY REFERENCES uploads ON DELETE CASCADE,
  tenant              text COLLATE "C" NOT NULL,
  session_id          text COLLATE "C",  -- the client's name for it; NULL where the job's id is the only one
  total               int,               -- batches that make the file whole; NULL: its client says when
  content_type        text NOT NULL CHECK (content_type IN ('csv', 'json')),
  header              bytea,             -- of all batches, which are kept without; NULL: none has come yet
  credit_model_config text NOT NULL,     -- as the first batch told that told any
  aggregate_config    text NOT NULL,
  parse_config        text NOT NULL,
  last_number         int NOT NULL DEFAULT 0, -- the greatest that a batch has, or was given
  received            int NOT NULL DEFAULT 0, -- batches
  records             bigint NOT NULL DEFAULT 0,
  CONSTRAINT batched_session UNIQUE (tenant, session_id)
);

-- The batches that have come.
CREATE TABLE batches (
  upload_id  text COLLATE "C" NOT NULL REFERENCES batched ON DELETE CASCADE,
  tenant     text COLLATE "C" NOT NULL,
  number     int NOT NULL CHECK (number > 0),
  digest     bytea NOT NULL CHECK (octet_length(digest) = 32), -- SHA-256 of the content
  records    bigint NOT NULL,
  PRIMARY KEY (upload_id, number)
);

-- +goose Down
DROP TABLE batches, batched;
ALTER TABLE uploads
  DROP CONSTRAINT uploads_concat_check,
  ADD CONSTRAINT uploads_concat_check CHECK (concat IN ('', 'partial', 'final'));
