-- name: GetJob :one
SELECT sqlc.embed(jobs), uploads.offset_bytes, uploads.size_bytes AS total_bytes,
  COALESCE((
    SELECT earlier.id FROM jobs AS earlier
    WHERE earlier.tenant = jobs.tenant AND earlier.size_bytes = jobs.size_bytes AND earlier.crc64 = jobs.crc64 AND earlier.id < jobs.id
    ORDER BY earlier.id LIMIT 1), '')::text AS duplicate_of,
  EXISTS (SELECT FROM river_queue WHERE name = 'default' AND paused_at IS NOT NULL) AS paused
FROM jobs LEFT JOIN uploads ON uploads.id = jobs.id
WHERE jobs.tenant = @tenant AND jobs.id = @id;

-- name: ListJobs :many
-- The query is in lower case. ICU folds every script; lower() alone would follow the database's locale.
SELECT sqlc.embed(jobs), uploads.offset_bytes, uploads.size_bytes AS total_bytes,
  COALESCE((
    SELECT earlier.id FROM jobs AS earlier
    WHERE earlier.tenant = jobs.tenant AND earlier.size_bytes = jobs.size_bytes AND earlier.crc64 = jobs.crc64 AND earlier.id < jobs.id
    ORDER BY earlier.id LIMIT 1), '')::text AS duplicate_of,
  EXISTS (SELECT FROM river_queue WHERE name = 'default' AND paused_at IS NOT NULL) AS paused
FROM jobs LEFT JOIN uploads ON uploads.id = jobs.id
WHERE jobs.tenant = @tenant AND jobs.id < @before
  AND (@state::text = '' OR jobs.state = @state)
  AND (@channel::text = '' OR jobs.channel = @channel)
  AND (@query::text = '' OR jobs.id = @query OR strpos(lower(jobs.filename COLLATE "und-x-icu"), @query) > 0)
ORDER BY jobs.id DESC LIMIT @max_rows;

-- name: ListResults :many
SELECT * FROM results WHERE job_id = ANY(@job_ids::text[]) AND tenant = @tenant;

-- name: ListParts :many
SELECT start_bytes, size_bytes, object_key, etag, crc64 FROM parts
WHERE upload_id = (SELECT u.id FROM uploads AS u WHERE u.id = @upload_id AND u.tenant = @tenant) ORDER BY start_bytes;

-- name: ListSteps :many
SELECT steps.version, steps.state, steps.stage, steps.processed_bytes, steps.rows_accepted, steps.rows_rejected, steps.rejects_by_reason,
  steps.error_code, steps.error_message, steps.can_retry, steps.at
FROM steps WHERE job_id = (SELECT jobs.id FROM jobs WHERE jobs.id = @job_id AND jobs.tenant = @tenant) AND steps.version > @after AND steps.version <= @until ORDER BY steps.version;

-- name: Throughput :one
-- Bytes and seconds of the tenant's jobs that ended lately, the newest few.
SELECT COALESCE(sum(j.size_bytes), 0)::bigint AS size_bytes, COALESCE(sum(j.duration_ms), 0)::bigint AS duration_ms
FROM (
  SELECT jobs.size_bytes, results.duration_ms FROM jobs JOIN results ON results.job_id = jobs.id
  WHERE jobs.tenant = @tenant AND jobs.state = 'JOB_COMPLETE' ORDER BY jobs.id DESC LIMIT 20) AS j;

-- name: Traceparent :one
SELECT traceparent FROM jobs WHERE tenant = @tenant AND id = @id;
