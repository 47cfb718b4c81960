-- InsertKey adds a key with that lifetime; 0: for ever.
-- name: InsertKey :one
INSERT INTO access_keys (id, tenant, role, name, digest, expires_at)
VALUES (@id, @tenant, @role, @name, @digest, clock_timestamp() + NULLIF(@lifetime::interval, interval '0'))
RETURNING created_at, expires_at;

-- LiveKey is the key of that id while it opens anything. It is good for as long as
-- fresh says, or until it expires.
-- name: LiveKey :one
SELECT id, tenant, role, digest,
       LEAST(@fresh::interval, expires_at - clock_timestamp())::interval AS good_for,
       (used_at IS NULL OR used_at < clock_timestamp() - interval '1 minute')::bool AS stale
FROM access_keys
WHERE id = @id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp());

-- UseKey notes that a key was used, unless somebody did within the minute.
-- name: UseKey :exec
UPDATE access_keys SET used_at = clock_timestamp()
WHERE tenant = @tenant AND id = @id AND (used_at IS NULL OR used_at < clock_timestamp() - interval '1 minute');

-- AnyKey also knows of keys that went with their tenant: their end opens nothing either.
-- name: AnyKey :one
SELECT (EXISTS (SELECT FROM access_keys) OR EXISTS (SELECT FROM erasures WHERE keyed))::bool;

-- ListKeys lists those of one tenant, or of all where tenant is empty.
-- name: ListKeys :many
SELECT id, tenant, role, name, replaced_by, created_at, used_at, expires_at, revoked_at,
       (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()))::bool AS live
FROM access_keys
WHERE @tenant::text = '' OR tenant = @tenant
ORDER BY tenant, created_at, id;

-- LockKey is the key to be changed, and how long it was made for: 0 where for ever.
-- name: LockKey :one
SELECT id, tenant, role, name, replaced_by, COALESCE(expires_at - created_at, interval '0')::interval AS lifetime,
       (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()))::bool AS live
FROM access_keys WHERE id = @id FOR UPDATE;

-- ReplaceKey lets a key go on for the grace time, unless it ends sooner.
-- name: ReplaceKey :one
UPDATE access_keys SET replaced_by = @replaced_by, expires_at = LEAST(expires_at, clock_timestamp() + @grace::interval)
WHERE tenant = @tenant AND id = @id RETURNING expires_at;

-- name: RevokeKey :execrows
UPDATE access_keys SET revoked_at = clock_timestamp() WHERE tenant = @tenant AND id = @id AND revoked_at IS NULL;

-- TellChange tells every gateway, once this is committed, to look again.
-- name: TellChange :exec
SELECT pg_notify('sluice_access', @id::text);
