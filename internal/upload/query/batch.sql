-- InsertBatched inserts nothing where the tenant has a session of that name.
-- name: InsertBatched :execrows
INSERT INTO batched (upload_id, tenant, session_id, total, content_type, header, credit_model_config, aggregate_config, parse_config)
VALUES (@upload_id, @tenant, @session_id, @total, @content_type, @header, @credit_model_config, @aggregate_config, @parse_config)
ON CONFLICT (tenant, session_id) DO NOTHING;

-- name: BatchedOfSession :one
SELECT upload_id FROM batched WHERE tenant = @tenant AND session_id = @session_id::text;

-- name: GetBatched :one
SELECT sqlc.embed(uploads), sqlc.embed(batched), (uploads.state = 'open' AND uploads.expires_at <= clock_timestamp())::boolean AS expired
FROM uploads JOIN batched ON batched.upload_id = uploads.id
WHERE uploads.id = @id AND uploads.tenant = @tenant;

-- LockBatched lets one request at a time add a batch. It reads both rows behind the lock.
-- name: LockBatched :one
SELECT sqlc.embed(uploads), sqlc.embed(batched), (uploads.state = 'open' AND uploads.expires_at <= clock_timestamp())::boolean AS expired
FROM uploads JOIN batched ON batched.upload_id = uploads.id
WHERE uploads.id = @id AND uploads.tenant = @tenant
FOR UPDATE;

-- name: TakeNumber :one
UPDATE batched SET last_number = last_number + 1
WHERE upload_id = @upload_id AND tenant = @tenant
RETURNING last_number;

-- name: GetBatch :one
SELECT * FROM batches WHERE upload_id = @upload_id AND tenant = @tenant AND number = @number;

-- name: BatchNumbers :many
SELECT number FROM batches WHERE upload_id = @upload_id AND tenant = @tenant ORDER BY number;

-- MissingBatch is the smallest number that has not come.
-- name: MissingBatch :one
SELECT coalesce(min(n.number), 0)::int + 1 FROM (
    SELECT 0 AS number UNION ALL SELECT b.number FROM batches AS b WHERE b.upload_id = @upload_id AND b.tenant = @tenant
) AS n WHERE NOT EXISTS (
    SELECT FROM batches AS b WHERE b.upload_id = @upload_id AND b.tenant = @tenant AND b.number = n.number + 1
);

-- name: InsertBatch :exec
INSERT INTO batches (upload_id, tenant, number, digest, records) VALUES (@upload_id, @tenant, @number, @digest, @records);

-- name: CountBatch :one
UPDATE batched
SET received = received + 1, records = records + @records, last_number = greatest(last_number, @number), header = @header,
    credit_model_config = @credit_model_config, aggregate_config = @aggregate_config, parse_config = @parse_config
WHERE upload_id = @upload_id AND tenant = @tenant
RETURNING *;

-- CloseBatch ends the partial upload of a batch with the bytes that it has, which are all. Who still writes to it fails.
-- name: CloseBatch :one
UPDATE uploads
SET state = 'gone', size_bytes = offset_bytes, epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open' AND once AND concat = 'partial'
RETURNING *;

-- name: InsertConcat :exec
INSERT INTO concats (final_id, position, partial_id) VALUES (@final_id, @position, @partial_id);

-- GrowBatched counts the bytes of a batch, and keeps the list from expiring.
-- name: GrowBatched :one
UPDATE uploads
SET offset_bytes = offset_bytes + @size_bytes, expires_at = clock_timestamp() + @expiry::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open'
RETURNING *;
