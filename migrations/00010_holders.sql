-- Whom to ask to let go of an upload.

-- +goose Up
ALTER TABLE uploads ADD COLUMN holder text NOT NULL DEFAULT ''; -- the process whose PATCH is under way, as far as it could tell

-- +goose Down
ALTER TABLE uploads DROP COLUMN holder;
