-- BeginSession keeps a session, which ends with its key at the latest.
-- name: BeginSession :one
INSERT INTO access_sessions (digest, tenant, role, key_id, subject, expires_at)
VALUES (@digest, @tenant, @role, sqlc.narg('key_id'), @subject, LEAST(clock_timestamp() + @life::interval, sqlc.narg('ends_at')::timestamptz))
RETURNING expires_at;

-- LiveSession is the session of that digest, unless it is over or its key is. It is
-- good for as long as fresh says, or until then.
-- name: LiveSession :one
SELECT s.tenant, s.role, s.key_id, s.subject,
       LEAST(s.expires_at, k.expires_at)::timestamptz AS ends_at,
       LEAST(@fresh::interval, s.expires_at - clock_timestamp(), k.expires_at - clock_timestamp())::interval AS good_for
FROM access_sessions AS s LEFT JOIN access_keys AS k ON k.tenant = s.tenant AND k.id = s.key_id
WHERE s.digest = @digest AND s.expires_at > clock_timestamp()
  AND (s.key_id IS NULL OR k.id IS NOT NULL AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()));

-- name: EndSession :many
DELETE FROM access_sessions WHERE digest = @digest RETURNING tenant;

-- DropSessions drops sessions whose time is over, those of every tenant.
-- name: DropSessions :exec
DELETE FROM access_sessions WHERE digest IN (
    SELECT o.digest FROM access_sessions AS o
    WHERE o.expires_at <= clock_timestamp()
    ORDER BY o.expires_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
);
