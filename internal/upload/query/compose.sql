-- ClaimCompose returns the upload that has waited longest to be composed, once its job needs it no more. It is due again
-- after the lease, unless Composed comes before: a composer that dies leaves nothing locked. Each composer has a number.
-- name: ClaimCompose :one
UPDATE uploads
SET compose_at = clock_timestamp() + @lease::interval, composers = composers + 1
WHERE id = (
    SELECT u.id FROM uploads AS u JOIN jobs ON jobs.id = u.id
    WHERE u.compose_at <= clock_timestamp() AND u.state = 'complete' AND jobs.state = 'JOB_COMPLETE'
    ORDER BY u.compose_at
    LIMIT 1
    FOR UPDATE OF u SKIP LOCKED
)
RETURNING *;

-- ExtendCompose renews the lease, if it still is the caller's.
-- name: ExtendCompose :one
UPDATE uploads
SET compose_at = clock_timestamp() + @lease::interval
WHERE id = @id AND compose_at = @compose_at AND state = 'complete'
RETURNING compose_at;

-- Composed ends composing, if the lease still is the caller's, and has the parts swept that the manifest does not name
-- any more.
-- name: Composed :execrows
UPDATE uploads
SET compose_at = NULL, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = @id AND compose_at = @compose_at AND state = 'complete';

-- name: Manifest :many
SELECT * FROM parts WHERE upload_id = @upload_id ORDER BY start_bytes;

-- name: DeletePartsBehindFirst :exec
DELETE FROM parts WHERE upload_id = @upload_id AND start_bytes > 0;
