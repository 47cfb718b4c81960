-- name: HoldWatch :one
-- Keeps the watch from being removed until the transaction ends.
SELECT tenant FROM watches WHERE id = @id FOR KEY SHARE;

-- name: InsertDrop :execrows
-- Waits for whoever is recording the same version; 0 rows when it is recorded.
INSERT INTO drops (tenant, watch_id, job_id, bucket, object_key, version_id, etag, size_bytes, modified_at, waiting, after, move_to, done)
VALUES (@tenant, @watch_id, @job_id, @bucket, @object_key, @version_id, @etag, @size_bytes, @modified_at, @waiting, @after, @move_to, @after::text = 'keep')
ON CONFLICT DO NOTHING;

-- name: KnownKeys :many
-- What of these keys is recorded.
SELECT object_key, version_id, etag, size_bytes FROM drops WHERE bucket = @bucket AND object_key = ANY(@keys::text[]) AND NOT gone;

-- name: GetSource :one
SELECT bucket, object_key, version_id, etag, size_bytes FROM drops WHERE job_id = @job_id AND tenant = @tenant ORDER BY id LIMIT 1;

-- name: LockWatch :one
SELECT tenant FROM watches WHERE id = @id FOR NO KEY UPDATE;

-- name: Busy :one
-- Whether a file of the watch has had its turn and not come to its end.
SELECT EXISTS (
  SELECT FROM jobs JOIN drops ON drops.job_id = jobs.id
  WHERE jobs.state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND drops.watch_id = @watch_id
)::boolean;

-- name: TakeTurn :one
UPDATE drops SET waiting = false
WHERE id = (SELECT d.id FROM drops AS d WHERE d.watch_id = @watch_id AND d.tenant = @tenant AND d.waiting ORDER BY d.object_key, d.modified_at, d.id LIMIT 1)
RETURNING job_id, size_bytes;

-- name: WatchesWaiting :many
SELECT DISTINCT watch_id FROM drops WHERE waiting;

-- name: WatchOfJob :one
SELECT watch_id FROM drops WHERE job_id = @job_id ORDER BY id LIMIT 1;
