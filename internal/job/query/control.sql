-- name: LockOwn :one
-- kept: its bytes are somewhere. Only those of an import may be nowhere.
SELECT state, (size_bytes IS NOT NULL)::boolean AS received,
  (channel <> 'import' OR EXISTS (SELECT FROM uploads WHERE uploads.tenant = jobs.tenant AND uploads.id = jobs.id))::boolean AS kept
FROM jobs WHERE jobs.tenant = @tenant AND jobs.id = @id FOR NO KEY UPDATE;

-- name: DeleteOffers :exec
DELETE FROM offers WHERE job_id = @job_id;

-- name: DeleteJob :exec
DELETE FROM jobs WHERE id = @id;

-- name: TellStop :exec
SELECT pg_notify('sluice_stop', @id);

-- name: ListEnded :many
-- Ids sort by creation, and a job ends after it was created: only those that can
-- be old enough are looked at, by the primary key.
SELECT tenant, id FROM jobs
WHERE id < @before AND completed_at < clock_timestamp() - make_interval(secs => @seconds::float8)
ORDER BY id LIMIT @max_rows;
