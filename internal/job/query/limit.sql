-- name: LockLimit :one
-- Who changes how many slots of a capped tenant are taken holds this lock: what
-- is counted under it, by a statement of its own, stays so.
SELECT max_running FROM tenant_limits WHERE tenant = @tenant FOR NO KEY UPDATE;

-- name: TryLockLimit :one
SELECT max_running FROM tenant_limits WHERE tenant = @tenant FOR NO KEY UPDATE SKIP LOCKED;

-- name: CountSlots :one
-- A job has a slot from its River job's insertion to its end.
SELECT count(*) FROM jobs WHERE tenant = @tenant AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND NOT held;

-- name: LockHeld :many
-- The first of a tenant's held jobs that are due; all of them are where @due is
-- false. One that somebody has locked is being cancelled or deleted.
SELECT jobs.id, fence, alone, wait_until, COALESCE(tenant_limits.priority, 3)::smallint AS priority
FROM jobs LEFT JOIN tenant_limits ON tenant_limits.tenant = jobs.tenant
WHERE jobs.tenant = @tenant AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND held
  AND (NOT @due::boolean OR wait_until IS NULL OR wait_until <= clock_timestamp())
ORDER BY queued_at, jobs.id LIMIT @max_rows
FOR NO KEY UPDATE OF jobs SKIP LOCKED;

-- name: AdmitJobs :one
-- Counts the listeners told.
WITH admitted AS (
  UPDATE jobs SET held = false, river_job_id = a.river_job_id, version = version + 1, updated_at = clock_timestamp(),
    wait_reason = CASE WHEN wait_until > clock_timestamp() THEN wait_reason ELSE '' END,
    wait_until = CASE WHEN wait_until > clock_timestamp() THEN wait_until END
  FROM (SELECT unnest(@ids::text[]) AS id, unnest(@river_job_ids::bigint[]) AS river_job_id) AS a
  WHERE jobs.id = a.id
  RETURNING jobs.id)
SELECT count(pg_notify('sluice_job', id)) FROM admitted;

-- name: HoldJobs :one
-- Takes the slots of a tenant's last queued jobs away, with the River jobs that
-- announced them. One that somebody has locked is being claimed, or ends.
WITH last AS MATERIALIZED (
  SELECT jobs.id, jobs.river_job_id FROM jobs
  WHERE jobs.tenant = @tenant AND jobs.state = 'UPLOAD_COMPLETE' AND NOT jobs.held
  ORDER BY jobs.queued_at DESC, jobs.id DESC LIMIT @max_rows
  FOR NO KEY UPDATE SKIP LOCKED),
unannounced AS (
  DELETE FROM river_job AS rj USING last WHERE rj.id = last.river_job_id AND rj.state IN ('available', 'scheduled', 'retryable', 'pending')),
kept AS (
  UPDATE jobs SET held = true, river_job_id = NULL, version = version + 1, updated_at = clock_timestamp(),
    wait_reason = COALESCE(NULLIF(wait_reason, ''), @reason::text)
  FROM last WHERE jobs.id = last.id
  RETURNING jobs.id)
SELECT count(pg_notify('sluice_job', id)) FROM kept;

-- name: ListUneven :many
-- The tenants of which more jobs have slots than may, or fewer than could.
SELECT l.tenant FROM tenant_limits AS l CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE NOT held) AS taken, count(*) FILTER (WHERE NOT held AND state = 'UPLOAD_COMPLETE') AS queued
  FROM jobs WHERE jobs.tenant = l.tenant AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND NOT held) AS slots
WHERE (slots.taken > l.max_running AND slots.queued > 0)
  OR ((l.max_running IS NULL OR slots.taken < l.max_running) AND EXISTS (
    SELECT FROM jobs WHERE jobs.tenant = l.tenant AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') AND held
      AND (l.max_running IS NULL OR wait_until IS NULL OR wait_until <= clock_timestamp())))
ORDER BY l.tenant;

-- name: AddLimit :exec
INSERT INTO tenant_limits (tenant) VALUES (@tenant) ON CONFLICT DO NOTHING;

-- name: LockLimits :one
SELECT tenant, priority, max_running, retention_seconds, max_upload_bytes, max_open_uploads, max_jobs, max_day_bytes, max_stored_bytes
FROM tenant_limits WHERE tenant = @tenant FOR UPDATE;

-- name: SaveLimits :exec
UPDATE tenant_limits SET priority = @priority, max_running = @max_running, retention_seconds = @retention_seconds,
  max_upload_bytes = @max_upload_bytes, max_open_uploads = @max_open_uploads, max_jobs = @max_jobs, max_day_bytes = @max_day_bytes, max_stored_bytes = @max_stored_bytes,
  updated_at = clock_timestamp()
WHERE tenant = @tenant;

-- name: ForgetUsage :exec
-- What is charged no more would be wrong when it is asked for again.
DELETE FROM tenant_usage AS u WHERE NOT EXISTS (
  SELECT FROM tenant_limits AS l
  WHERE l.tenant IN (u.tenant, '*') AND num_nonnulls(l.max_open_uploads, l.max_jobs, l.max_day_bytes, l.max_stored_bytes) > 0);

-- name: Reprioritize :exec
-- Of the queued jobs of a tenant, those that wait for their first turn.
UPDATE river_job AS rj SET priority = @priority::smallint FROM jobs
WHERE jobs.tenant = @tenant AND jobs.state = 'UPLOAD_COMPLETE' AND NOT jobs.held AND rj.id = jobs.river_job_id
  AND rj.state IN ('available', 'scheduled', 'retryable', 'pending') AND rj.priority <> @begun::smallint;

-- name: ListLimits :many
-- Every tenant that has limits of its own or jobs that have not ended.
WITH busy AS (
  SELECT tenant, count(*) FILTER (WHERE state = 'IN_PROGRESS') AS running, count(*) FILTER (WHERE state = 'UPLOAD_COMPLETE' AND NOT held) AS queued,
    count(*) FILTER (WHERE held) AS held
  FROM jobs WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') GROUP BY tenant)
SELECT COALESCE(l.tenant, busy.tenant)::text AS tenant, COALESCE(l.priority, 3)::smallint AS priority, l.max_running, l.retention_seconds,
  l.max_upload_bytes, l.max_open_uploads, l.max_jobs, l.max_day_bytes, l.max_stored_bytes,
  COALESCE(CASE WHEN u.day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN u.day_bytes END, 0)::bigint AS day_bytes, COALESCE(u.stored_bytes, 0)::bigint AS stored_bytes,
  COALESCE(busy.running, 0)::bigint AS running, COALESCE(busy.queued, 0)::bigint AS queued, COALESCE(busy.held, 0)::bigint AS held
FROM tenant_limits AS l FULL JOIN busy ON busy.tenant = l.tenant LEFT JOIN tenant_usage AS u ON u.tenant = COALESCE(l.tenant, busy.tenant)
ORDER BY 1;
