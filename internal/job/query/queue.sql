-- name: KnowQueue :exec
-- River adds a queue when a worker of it first starts.
INSERT INTO river_queue (name, updated_at) VALUES (@name, clock_timestamp()) ON CONFLICT DO NOTHING;

-- name: ListQueues :many
SELECT q.name, q.paused_at,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state = 'available') AS waiting,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state IN ('scheduled', 'retryable')) AS later,
  (SELECT count(*) FROM river_job AS rj WHERE rj.queue = q.name AND rj.state = 'running') AS running
FROM river_queue AS q ORDER BY q.name;
