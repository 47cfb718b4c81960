-- name: LockWatches :exec
-- No two watches are added at a time: what they move must not land in each other.
LOCK TABLE watches IN SHARE ROW EXCLUSIVE MODE;

-- name: Entangled :one
-- Whether what the new watch moves would land in a watch, its own included, or what a watch moves in the new one.
SELECT EXISTS (
  SELECT FROM watches
  WHERE bucket = @bucket AND (
    (@move_to::text <> '' AND (starts_with(@move_to::text, prefix) OR starts_with(prefix, @move_to::text)))
    OR (move_to <> '' AND (starts_with(move_to, @prefix::text) OR starts_with(@prefix::text, move_to))))
)::boolean;

-- name: InsertWatch :one
INSERT INTO watches (id, tenant, bucket, prefix, suffixes, credit_model_config, aggregate_config, parse_config, after, move_to, in_order, since)
VALUES (@id, @tenant, @bucket, @prefix, @suffixes, @credit_model_config, @aggregate_config, @parse_config, @after, @move_to, @in_order, @since)
RETURNING *;

-- name: ListWatches :many
-- Of one tenant, or of all for ''.
SELECT * FROM watches WHERE (@tenant::text = '' OR tenant = @tenant) ORDER BY id;

-- name: GetWatch :one
SELECT * FROM watches WHERE id = @id AND (@tenant::text = '' OR tenant = @tenant);

-- name: FindWatch :one
-- The one watch that a key can be in.
SELECT * FROM watches WHERE bucket = @bucket AND starts_with(@object_key::text, prefix);

-- name: DeleteWatch :execrows
DELETE FROM watches WHERE id = @id AND tenant = @tenant;
