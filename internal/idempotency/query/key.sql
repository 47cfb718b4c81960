-- TakeKey takes a key that nobody has, or whose time is over.
-- name: TakeKey :execrows
INSERT INTO idempotency_keys AS k (tenant, key, holder, expires_at)
VALUES (@tenant, @key, @holder, clock_timestamp() + @lease::interval)
ON CONFLICT (tenant, key) DO UPDATE
SET holder = excluded.holder, expires_at = excluded.expires_at, fingerprint = NULL, job_id = NULL, status = NULL, answer = NULL
WHERE k.expires_at <= clock_timestamp();

-- name: GetKey :one
SELECT * FROM idempotency_keys WHERE tenant = @tenant AND key = @key;

-- name: RenewKey :exec
UPDATE idempotency_keys SET expires_at = clock_timestamp() + @lease::interval
WHERE tenant = @tenant AND key = @key AND holder = @holder AND fingerprint IS NULL;

-- name: KeepAnswer :execrows
UPDATE idempotency_keys
SET fingerprint = @fingerprint, job_id = @job_id, status = @status, answer = @answer, expires_at = clock_timestamp() + @kept::interval
WHERE tenant = @tenant AND key = @key AND holder = @holder AND fingerprint IS NULL;

-- name: FreeKey :exec
DELETE FROM idempotency_keys WHERE tenant = @tenant AND key = @key AND holder = @holder AND fingerprint IS NULL;

-- DropKeys drops keys whose time is over, those of every tenant.
-- name: DropKeys :exec
DELETE FROM idempotency_keys WHERE (tenant, key) IN (
    SELECT o.tenant, o.key FROM idempotency_keys AS o
    WHERE o.expires_at <= clock_timestamp()
    ORDER BY o.expires_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
);
