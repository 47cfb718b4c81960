-- name: Gauges :one
-- How the queue stands. Only what is unfinished is read, by the indexes that
-- hold nothing else, so that the cost does not grow with what has ended.
WITH unfinished AS MATERIALIZED (
  SELECT tenant, state, held, COALESCE(wait_until, updated_at) AS due_at, lease_expires_at
  FROM jobs WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS'))
SELECT
  (SELECT count(*) FROM uploads WHERE uploads.state = 'open') AS open,
  (SELECT count(*) FROM deliveries WHERE deliveries.state = 'pending') AS deliveries,
  (SELECT count(*) FROM river_queue WHERE paused_at IS NOT NULL) AS paused,
  count(*) FILTER (WHERE state = 'UPLOAD_COMPLETE') AS queued,
  count(*) FILTER (WHERE held) AS held,
  count(*) FILTER (WHERE state = 'IN_PROGRESS') AS running,
  COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - due_at)) FILTER (WHERE state = 'UPLOAD_COMPLETE' AND NOT held), 0)::float8 AS queue_age,
  COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - lease_expires_at)), 0)::float8 AS lease_overdue,
  count(DISTINCT tenant) AS tenants,
  COALESCE((SELECT max(n) FROM (SELECT count(*) AS n FROM unfinished GROUP BY tenant) AS by_tenant), 0)::bigint AS busiest
FROM unfinished;
