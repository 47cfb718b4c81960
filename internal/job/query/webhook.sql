-- name: InsertWebhook :one
INSERT INTO webhooks (id, tenant, url, event_types, job_id, secret)
SELECT @id, @tenant, @url, @event_types::text[], sqlc.narg(job_id), @secret
WHERE (SELECT count(*) FROM webhooks WHERE webhooks.tenant = @tenant) < @most::bigint
RETURNING id;

-- name: ListWebhooks :many
SELECT id, url, event_types, job_id, failing_since, disabled_at, disabled_reason, created_at
FROM webhooks WHERE tenant = @tenant ORDER BY id;

-- name: HasWebhook :one
SELECT EXISTS (SELECT FROM webhooks WHERE tenant = @tenant AND id = @id);

-- name: DeleteWebhook :execrows
DELETE FROM webhooks WHERE tenant = @tenant AND id = @id;

-- name: RotateSecret :one
UPDATE webhooks SET previous_secret = secret, previous_until = clock_timestamp() + make_interval(secs => @seconds::float8), secret = @secret
WHERE tenant = @tenant AND id = @id RETURNING previous_until::timestamptz AS previous_until;

-- name: EnableWebhook :execrows
UPDATE webhooks SET failing_since = NULL, disabled_at = NULL, disabled_reason = '' WHERE tenant = @tenant AND id = @id;

-- name: MatchWebhooks :many
-- Locked so that none is deleted before its delivery is in.
SELECT id FROM webhooks
WHERE tenant = @tenant AND disabled_at IS NULL AND @event_type::text = ANY(event_types) AND (job_id IS NULL OR job_id = @job_id)
ORDER BY id FOR KEY SHARE;

-- name: InsertDelivery :exec
INSERT INTO deliveries (id, tenant, webhook_id, job_id, event_type, payload, river_job_id, due_at)
VALUES (@id, @tenant, @webhook_id, @job_id, @event_type, @payload, @river_job_id, clock_timestamp());

-- name: ClaimDelivery :one
UPDATE deliveries AS d SET attempts = d.attempts + 1, fence = d.fence + 1, due_at = clock_timestamp() + make_interval(secs => @seconds::float8)
FROM webhooks AS w
WHERE d.id = @id AND d.fence = @fence AND d.state = 'pending' AND w.id = d.webhook_id AND w.disabled_at IS NULL
RETURNING d.id, d.tenant, d.webhook_id, d.fence, d.attempts, d.payload, w.url, w.secret,
  (CASE WHEN w.previous_until > clock_timestamp() THEN w.previous_secret ELSE '' END)::text AS previous_secret;

-- name: LockWebhook :one
-- The webhook before its delivery, in the order in which deletion locks them.
SELECT COALESCE(failing_since < clock_timestamp() - make_interval(secs => @seconds::float8), false)::boolean AS failing_long, (disabled_at IS NOT NULL)::boolean AS disabled
FROM webhooks WHERE id = @id AND tenant = @tenant FOR NO KEY UPDATE;

-- name: Succeeded :exec
UPDATE webhooks SET failing_since = NULL WHERE id = @id AND tenant = @tenant AND failing_since IS NOT NULL;

-- name: Failing :exec
UPDATE webhooks SET failing_since = clock_timestamp() WHERE id = @id AND tenant = @tenant AND failing_since IS NULL;

-- name: DisableWebhook :exec
WITH disabled AS (UPDATE webhooks SET disabled_at = clock_timestamp(), disabled_reason = @reason WHERE webhooks.id = @id AND webhooks.tenant = @tenant RETURNING webhooks.id)
UPDATE deliveries SET state = 'failed' FROM disabled WHERE deliveries.webhook_id = disabled.id AND deliveries.state = 'pending';

-- name: SaveDelivery :execrows
UPDATE deliveries SET state = @state, due_at = clock_timestamp() + make_interval(secs => @seconds::float8), river_job_id = @river_job_id
WHERE id = @id AND tenant = @tenant AND fence = @fence;

-- name: InsertAttempt :exec
INSERT INTO delivery_attempts (delivery_id, fence, tenant, at, duration_ms, status_code, error)
VALUES (@delivery_id, @fence, @tenant, clock_timestamp() - make_interval(secs => @seconds::float8), @duration_ms, @status_code, @error);

-- name: ListDeliveries :many
SELECT id, job_id, event_type, state, due_at, created_at FROM deliveries
WHERE tenant = @tenant AND webhook_id = @webhook_id AND id < @before
ORDER BY id DESC LIMIT @max_rows;

-- name: ListAttempts :many
SELECT delivery_id, at, duration_ms, status_code, error FROM delivery_attempts WHERE delivery_id = ANY(@ids::text[]) AND tenant = @tenant ORDER BY delivery_id, fence;

-- name: ReplayDelivery :one
UPDATE deliveries AS d SET state = 'pending', attempts = 0, fence = d.fence + 1, due_at = clock_timestamp()
FROM webhooks AS w
WHERE d.tenant = @tenant AND d.webhook_id = @webhook_id AND d.id = @id AND w.id = d.webhook_id AND w.disabled_at IS NULL
RETURNING d.fence;

-- name: LockStrandedDelivery :one
-- One that nobody is about to make: its worker died between its claim and its
-- record, or its River job is gone. What the snapshot shows of River is old once
-- the row is locked; the fence tells whether another has recovered it in between.
WITH stranded AS MATERIALIZED (
  SELECT d.id, d.fence FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id AND w.disabled_at IS NULL
  LEFT JOIN river_job rj ON rj.id = d.river_job_id
  WHERE d.state = 'pending' AND d.due_at < clock_timestamp()
    AND (rj.id IS NULL OR rj.state NOT IN ('available', 'scheduled', 'retryable', 'pending')))
SELECT d.id, d.tenant, d.webhook_id, d.fence FROM deliveries AS d JOIN stranded ON stranded.id = d.id AND stranded.fence = d.fence
WHERE d.state = 'pending' AND d.due_at < clock_timestamp()
ORDER BY d.due_at LIMIT 1
FOR NO KEY UPDATE OF d SKIP LOCKED;

-- name: Reenqueued :exec
UPDATE deliveries SET fence = @fence, river_job_id = @river_job_id WHERE id = @id AND tenant = @tenant;

-- name: ForgetDeliveries :execrows
DELETE FROM deliveries WHERE id IN (
  SELECT d.id FROM deliveries AS d WHERE d.id < @before AND d.state <> 'pending' ORDER BY d.id LIMIT @max_rows);
