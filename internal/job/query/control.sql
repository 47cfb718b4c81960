-- name: LockOwn :one
-- kept: its bytes are somewhere. Only those of an import may be nowhere.
SELECT state, (size_bytes IS NOT NULL)::boolean AS received,
  (channel <> 'import' OR EXISTS (SELECT FROM uploads WHERE uploads.tenant = jobs.tenant AND uploads.id = jobs.id))::boolean AS kept
FROM jobs WHERE jobs.tenant = @tenant AND jobs.id = @id FOR NO KEY UPDATE;

-- name: DeleteOffers :exec
DELETE FROM offers WHERE job_id = @job_id AND tenant = @tenant;

-- name: DeleteJob :exec
DELETE FROM jobs WHERE id = @id AND tenant = @tenant;

-- name: TellStop :exec
SELECT pg_notify('sluice_stop', @id);

-- name: ListRetentions :many
-- How long the ended jobs of each tenant are kept that has any, and not for ever.
-- Tenants are found one by one, by an index: there are few beside their jobs.
WITH RECURSIVE tenants AS (
  (SELECT jobs.tenant FROM jobs ORDER BY jobs.tenant LIMIT 1)
  UNION ALL
  SELECT next.tenant FROM tenants CROSS JOIN LATERAL (
    SELECT jobs.tenant FROM jobs WHERE jobs.tenant > tenants.tenant ORDER BY jobs.tenant LIMIT 1) AS next),
kept AS (
  SELECT tenants.tenant, COALESCE(l.retention_seconds, @seconds::bigint)::bigint AS seconds
  FROM tenants LEFT JOIN tenant_limits AS l ON l.tenant = tenants.tenant)
SELECT tenant, seconds FROM kept WHERE seconds <> 0;

-- name: ListEnded :many
-- Each tenant in its turn, so that a backlog of one keeps nobody waiting. Ids sort
-- by creation, and a job ends after it was created: only those that can be old
-- enough are looked at.
SELECT kept.tenant::text AS tenant, ended.id
FROM (SELECT unnest(@tenants::text[]) AS tenant, unnest(@befores::text[]) AS before, unnest(@seconds::bigint[]) AS seconds) AS kept
CROSS JOIN LATERAL (
  SELECT oldest.id, row_number() OVER (ORDER BY oldest.id) AS turn FROM (
    SELECT jobs.id FROM jobs
    WHERE jobs.tenant = kept.tenant AND jobs.id < kept.before AND jobs.completed_at < clock_timestamp() - make_interval(secs => kept.seconds)
    ORDER BY jobs.id LIMIT @max_rows) AS oldest) AS ended
ORDER BY ended.turn, ended.id LIMIT @max_rows;
