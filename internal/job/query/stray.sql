-- name: KeepStray :exec
INSERT INTO strays (job_id, tenant, sweep_at, fences)
VALUES (@job_id, @tenant, clock_timestamp() + make_interval(secs => @seconds::float8), array_remove(ARRAY[@fence::bigint], 0))
ON CONFLICT (job_id) DO UPDATE SET sweep_at = excluded.sweep_at, fences = strays.fences || excluded.fences;

-- name: ClaimStray :one
-- The one that is due longest. It is due again after the grace, unless StraySwept
-- comes before: a sweeper that dies leaves nothing locked.
UPDATE strays SET sweep_at = clock_timestamp() + make_interval(secs => @seconds::float8)
WHERE job_id = (
  SELECT s.job_id FROM strays AS s WHERE s.sweep_at <= clock_timestamp()
  ORDER BY s.sweep_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: LiveObjects :one
-- The keys that are in use, and the fence of the attempt that runs, 0 when none
-- does: what it writes is not yet named anywhere.
SELECT COALESCE(results.aggregates_key, '')::text AS aggregates_key, COALESCE(results.rejects_key, '')::text AS rejects_key,
  CASE jobs.state WHEN 'IN_PROGRESS' THEN jobs.fence ELSE 0 END::bigint AS fence
FROM jobs LEFT JOIN results ON results.job_id = jobs.id WHERE jobs.id = @job_id;

-- name: StraySwept :exec
DELETE FROM strays WHERE job_id = @job_id AND sweep_at = @sweep_at;
