-- name: ExtendLease :execrows
UPDATE jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => @seconds::float8)
WHERE id = @id AND tenant = @tenant AND fence = @fence AND state = 'IN_PROGRESS';

-- name: SaveProgress :one
-- Counts the listeners told: 0 when the lease is lost.
WITH saved AS (
  UPDATE jobs SET stage = @stage, processed_bytes = @processed_bytes, rows_accepted = @rows_accepted, rows_rejected = @rows_rejected,
    rejects_by_reason = @rejects_by_reason,
    version = version + 1, updated_at = clock_timestamp()
  WHERE id = @id AND tenant = @tenant AND fence = @fence AND state = 'IN_PROGRESS'
  RETURNING id)
SELECT count(pg_notify('sluice_job', id)) FROM saved;

-- name: LockStranded :one
-- One job that nobody works on although somebody should: its lease expired, or
-- it is queued, and not held, but its River job has ended, is lost, or was fetched
-- by a worker that did not come to claim it.
--
-- Leases that expired are left alone where @leases is false: their holders may
-- be about to renew them.
--
-- What the snapshot shows of River is old once the row is locked: another may
-- have recovered the job in between. Its fence tells.
WITH stranded AS MATERIALIZED (
  SELECT jobs.id, jobs.fence FROM jobs LEFT JOIN river_job rj ON rj.id = jobs.river_job_id
  WHERE jobs.state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND NOT jobs.held AND CASE jobs.state
    WHEN 'IN_PROGRESS' THEN jobs.lease_expires_at < clock_timestamp() AND @leases::boolean
    ELSE rj.id IS NULL OR rj.state IN ('cancelled', 'completed', 'discarded')
      OR (rj.state = 'running' AND rj.attempted_at < clock_timestamp() - make_interval(secs => @seconds::float8))
    END)
SELECT jobs.id FROM jobs JOIN stranded ON stranded.id = jobs.id AND stranded.fence = jobs.fence
WHERE jobs.lease_expires_at IS NULL OR jobs.lease_expires_at < clock_timestamp()
ORDER BY jobs.id LIMIT 1
FOR NO KEY UPDATE OF jobs SKIP LOCKED;

-- name: Uptime :one
SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS seconds;

-- name: TakeDeathBack :execrows
UPDATE jobs SET deaths = deaths - 1, death_fences = array_remove(death_fences, @fence::bigint)
WHERE id = @id AND tenant = @tenant AND @fence::bigint = ANY(death_fences);

-- name: BeginAlone :execrows
UPDATE jobs SET solitary = true WHERE id = @id AND tenant = @tenant AND fence = @fence AND state = 'IN_PROGRESS';
