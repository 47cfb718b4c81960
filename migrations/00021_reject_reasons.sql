-- Why rows are rejected, while the job runs.

-- +goose Up

-- reason -> rows, an object of the parser's words, so a dozen at most. It is {} of
-- attempts before, and of workers that do not count them yet.
ALTER TABLE jobs ADD COLUMN rejects_by_reason jsonb NOT NULL DEFAULT '{}';
ALTER TABLE steps ADD COLUMN rejects_by_reason jsonb NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE steps DROP COLUMN rejects_by_reason;
ALTER TABLE jobs DROP COLUMN rejects_by_reason;
