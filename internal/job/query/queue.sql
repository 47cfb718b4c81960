-- name: KnowQueue :exec
-- River adds a queue when a worker of it first starts.
INSERT INTO river_queue (name, updated_at) VALUES (@name, clock_timestamp()) ON CONFLICT DO NOTHING;

-- name: ListQueues :many
SELECT q.name, q.paused_at,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state = 'available') AS waiting,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state IN ('scheduled', 'retryable')) AS later,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state = 'running') AS running
FROM river_queue AS q ORDER BY q.name;

-- name: Unannounce :execrows
-- Of what announces work, drops that for jobs and webhooks that are not there any more. Of these nobody needs to be told:
-- both are added before what announces them.
DELETE FROM river_job AS rj WHERE rj.id IN (
  SELECT o.id FROM river_job AS o
  WHERE o.kind = 'ingest' AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = o.args ->> 'job_id')
     OR o.kind = 'deliver' AND NOT EXISTS (SELECT FROM webhooks WHERE webhooks.id = o.args ->> 'webhook_id')
  LIMIT 1000);
