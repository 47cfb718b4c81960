-- name: EndSession :execrows
INSERT INTO ended_sessions (id, tenant, expires_at) VALUES (@id, @tenant, @expires_at) ON CONFLICT (id) DO NOTHING;

-- name: IsEnded :one
SELECT EXISTS (SELECT FROM ended_sessions WHERE id = @id AND tenant = @tenant);

-- DropSessions drops ended sessions whose cookies are no good any more, those of every tenant.
-- name: DropSessions :exec
DELETE FROM ended_sessions WHERE id IN (
    SELECT o.id FROM ended_sessions AS o
    WHERE o.expires_at <= clock_timestamp() - interval '1 hour' -- for clocks that differ
    ORDER BY o.expires_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
);
