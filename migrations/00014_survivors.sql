-- Deaths that can be taken back.

-- +goose Up

-- A worker that was only stopped, or cut off, comes back and says so: by the
-- fence of its attempt its death is found, and counted no more.
ALTER TABLE jobs ADD COLUMN death_fences bigint[] NOT NULL DEFAULT '{}'; -- of the attempts that deaths counts

-- +goose Down
ALTER TABLE jobs DROP COLUMN death_fences;
