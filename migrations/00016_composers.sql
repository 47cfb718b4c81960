-- Composers that disturb nobody.

-- +goose Up

-- Each composer of an upload has a number, and the key that it writes has that
-- number in it: what a dead one's late request does there touches nothing that
-- the manifest names, and the sweep knows all of these keys.
ALTER TABLE uploads ADD COLUMN composers integer NOT NULL DEFAULT 0; -- that have begun

-- +goose Down
ALTER TABLE uploads DROP COLUMN composers;
