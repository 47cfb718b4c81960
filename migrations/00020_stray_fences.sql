-- Multipart uploads of lost attempts.

-- +goose Up

-- An attempt that dies while it writes a large object leaves a multipart upload.
-- Not every server lists these by a prefix, so the sweep asks for the keys of each
-- attempt that was lost.
ALTER TABLE strays ADD COLUMN fences bigint[] NOT NULL DEFAULT '{}'; -- of the lost attempts

-- +goose Down
ALTER TABLE strays DROP COLUMN fences;
