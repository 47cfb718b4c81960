-- What tus's concatenation and composing add to the upload ledger.

-- +goose Up

-- concat is what Upload-Concat made of an upload, '' for most: a partial one has
-- bytes and no job, a final one is a list of partial ones and has a job. A
-- partial upload stays open when all its bytes are there, until it ends.
ALTER TABLE uploads
  ADD COLUMN concat text NOT NULL DEFAULT '' CHECK (concat IN ('', 'partial', 'final')),
  ADD COLUMN concat_header text NOT NULL DEFAULT '', -- Upload-Concat as it was sent, echoed by HEAD
  ADD COLUMN compose_at timestamptz,                 -- when to make its parts one object; NULL: they are, or need not be
  ADD CONSTRAINT uploads_partial CHECK (concat <> 'partial' OR state <> 'complete');

-- What a final upload consists of, in order. A row is a reference: while the
-- final upload lives, the parts of the partial one stay, whatever becomes of it.
CREATE TABLE concats (
  final_id   text COLLATE "C" NOT NULL REFERENCES uploads ON DELETE CASCADE,
  position   int NOT NULL,
  partial_id text COLLATE "C" NOT NULL REFERENCES uploads,
  PRIMARY KEY (final_id, position)
);

-- Who ends or finishes a partial upload looks for the final ones that wait for it.
CREATE INDEX concats_by_partial ON concats (partial_id);

-- Composing looks for the uploads that are due, oldest first; composed ones, the
-- great majority, are not in it.
CREATE INDEX uploads_composing ON uploads (compose_at) WHERE compose_at IS NOT NULL;

-- +goose Down
DROP TABLE concats;
ALTER TABLE uploads DROP COLUMN compose_at, DROP COLUMN concat_header, DROP COLUMN concat;
