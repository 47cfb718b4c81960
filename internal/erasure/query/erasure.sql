-- InsertErasure begins one, unless the tenant has one.
-- name: InsertErasure :execrows
INSERT INTO erasures (tenant, id, keyed)
SELECT @tenant, @id, EXISTS (SELECT FROM access_keys WHERE tenant = @tenant)
ON CONFLICT (tenant) DO NOTHING;

-- name: GetErasure :one
SELECT id, begun_at, finished_at, COALESCE(receipt, '')::text AS receipt FROM erasures WHERE tenant = @tenant;

-- ClaimErasure returns the tenant whose erasure is due longest. It is due again after the lease: a worker that dies
-- leaves nothing locked.
-- name: ClaimErasure :one
UPDATE erasures SET due_at = clock_timestamp() + @lease::interval, closed_by = COALESCE(closed_by, pg_current_xact_id())
WHERE tenant = (
    SELECT e.tenant FROM erasures AS e
    WHERE e.finished_at IS NULL AND e.due_at <= clock_timestamp()
    ORDER BY e.due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING tenant;

-- Postpone has it go on after that time.
-- name: Postpone :exec
UPDATE erasures SET due_at = clock_timestamp() + @pause::interval WHERE tenant = @tenant AND finished_at IS NULL;

-- Progress tells whether every transaction has ended that may have seen the tenant open, and what it had then.
-- name: Progress :one
SELECT id, begun_at, (pg_snapshot_xmin(pg_current_snapshot()) > closed_by)::bool AS closed, found, clock_timestamp()::timestamptz AS clock
FROM erasures WHERE tenant = @tenant;

-- KeepFound keeps what was found first, and returns it: another may have begun to delete. The key that was the tenant's
-- first may have come while it began.
-- name: KeepFound :one
UPDATE erasures SET found = COALESCE(found, @found), keyed = keyed OR @keyed::boolean WHERE tenant = @tenant RETURNING found;

-- CountRows counts what the tenant has, in every table that has any.
-- name: CountRows :many
SELECT 'access_keys' AS name, count(*) AS n FROM access_keys WHERE access_keys.tenant = @tenant
UNION ALL SELECT 'access_sessions', count(*) FROM access_sessions WHERE access_sessions.tenant = @tenant
UNION ALL SELECT 'batched', count(*) FROM batched WHERE batched.tenant = @tenant
UNION ALL SELECT 'batches', count(*) FROM batches WHERE batches.tenant = @tenant
UNION ALL SELECT 'concats', count(*) FROM concats JOIN uploads ON uploads.id = final_id WHERE uploads.tenant = @tenant
UNION ALL SELECT 'deliveries', count(*) FROM deliveries WHERE deliveries.tenant = @tenant
UNION ALL SELECT 'delivery_attempts', count(*) FROM delivery_attempts WHERE delivery_attempts.tenant = @tenant
UNION ALL SELECT 'drops', count(*) FROM drops WHERE drops.tenant = @tenant
UNION ALL SELECT 'ended_sessions', count(*) FROM ended_sessions WHERE ended_sessions.tenant = @tenant
UNION ALL SELECT 'idempotency_keys', count(*) FROM idempotency_keys WHERE idempotency_keys.tenant = @tenant
UNION ALL SELECT 'jobs', count(*) FROM jobs WHERE jobs.tenant = @tenant
UNION ALL SELECT 'offers', count(*) FROM offers WHERE offers.tenant = @tenant
UNION ALL SELECT 'parts', count(*) FROM parts JOIN uploads ON uploads.id = upload_id WHERE uploads.tenant = @tenant
UNION ALL SELECT 'results', count(*) FROM results WHERE results.tenant = @tenant
UNION ALL SELECT 'steps', count(*) FROM steps JOIN jobs ON jobs.id = job_id WHERE jobs.tenant = @tenant
UNION ALL SELECT 'strays', count(*) FROM strays WHERE strays.tenant = @tenant
UNION ALL SELECT 'tenant_limits', count(*) FROM tenant_limits WHERE tenant_limits.tenant = @tenant
UNION ALL SELECT 'tenant_usage', count(*) FROM tenant_usage WHERE tenant_usage.tenant = @tenant
UNION ALL SELECT 'token_uploads', count(*) FROM token_uploads WHERE token_uploads.tenant = @tenant
UNION ALL SELECT 'upload_tokens', count(*) FROM upload_tokens WHERE upload_tokens.tenant = @tenant
UNION ALL SELECT 'uploads', count(*) FROM uploads WHERE uploads.tenant = @tenant
UNION ALL SELECT 'watches', count(*) FROM watches WHERE watches.tenant = @tenant
UNION ALL SELECT 'webhooks', count(*) FROM webhooks WHERE webhooks.tenant = @tenant;

-- IsSettled tells that nothing of the tenant can come to the bucket any more: what was under way has had the grace to
-- end, and the sweeps have been at what it left.
-- name: IsSettled :one
SELECT (begun_at + @grace::interval <= clock_timestamp()
    AND NOT EXISTS (SELECT FROM jobs WHERE jobs.tenant = @tenant)
    AND NOT EXISTS (SELECT FROM strays WHERE strays.tenant = @tenant)
    AND NOT EXISTS (SELECT FROM uploads WHERE uploads.tenant = @tenant AND (state <> 'gone' OR sweep_at IS NOT NULL)))::bool
FROM erasures WHERE erasures.tenant = @tenant;

-- name: ListJobs :many
SELECT id FROM jobs WHERE tenant = @tenant ORDER BY id LIMIT 1000;

-- EndUploads ends uploads that are open, and asks those who write to them to leave. Their objects are swept.
-- name: EndUploads :execrows
WITH ended AS (
    UPDATE uploads
    SET state = 'gone', metadata = '{}', epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
    WHERE id IN (SELECT u.id FROM uploads AS u WHERE u.tenant = @tenant AND u.state = 'open' ORDER BY u.id LIMIT 1000)
    RETURNING id, holder
)
SELECT pg_notify('sluice_upload', holder || ' ' || id) FROM ended;

-- FinishErasure keeps the receipt, and tells every gateway to look for the keys anew.
-- name: FinishErasure :execrows
WITH finished AS (
    UPDATE erasures SET finished_at = @finished_at::timestamptz, receipt = @receipt::text WHERE tenant = @tenant AND finished_at IS NULL RETURNING id
)
SELECT pg_notify('sluice_access', '') FROM finished;
