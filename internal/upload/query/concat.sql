-- LockPartials returns the uploads of a new final one, each once, and keeps them from being finished or ended until it
-- is there: who does so later finds it.
-- name: LockPartials :many
SELECT * FROM uploads
WHERE id = ANY(@ids::text[]) AND tenant = @tenant AND concat = 'partial' AND NOT once AND state = 'open' AND expires_at > clock_timestamp()
ORDER BY id
FOR SHARE;

-- name: InsertConcats :exec
INSERT INTO concats (final_id, position, partial_id)
SELECT @final_id, p.position, p.id FROM unnest(@partial_ids::text[]) WITH ORDINALITY AS p (id, position);

-- LockFinals returns the final uploads that wait for a partial one. Of several partial ones that are finished at once the
-- last to come here sees the others finished.
-- name: LockFinals :many
SELECT * FROM uploads
WHERE tenant = @tenant AND state = 'open' AND concat = 'final' AND id IN (SELECT c.final_id FROM concats AS c WHERE c.partial_id = @partial_id)
ORDER BY id
FOR UPDATE;

-- name: ListPartials :many
SELECT p.* FROM concats AS c JOIN uploads AS p ON p.id = c.partial_id WHERE c.final_id = @final_id AND p.tenant = @tenant ORDER BY c.position;

-- Join makes the manifest of a final upload out of those of its partial ones.
-- name: Join :exec
INSERT INTO parts (upload_id, start_bytes, size_bytes, object_key, etag, crc64)
SELECT @final_id, sum(s.size_bytes) OVER (ORDER BY c.position, s.start_bytes) - s.size_bytes, s.size_bytes, s.object_key, s.etag, s.crc64
FROM concats AS c JOIN parts AS s ON s.upload_id = c.partial_id
WHERE c.final_id = @final_id;

-- name: Joined :one
UPDATE uploads
SET size_bytes = @size_bytes, offset_bytes = @size_bytes, crc64 = @crc64, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open'
RETURNING *;

-- FinalExpiry is when the first of the partial uploads ends that a final one waits for.
-- name: FinalExpiry :one
SELECT coalesce(min(p.expires_at), clock_timestamp())::timestamptz AS expires_at FROM concats AS c JOIN uploads AS p ON p.id = c.partial_id
WHERE c.final_id = @final_id AND p.tenant = @tenant AND p.offset_bytes IS DISTINCT FROM p.size_bytes;

-- Release drops the references of a final upload, and has the parts of partial ones that have ended swept.
-- name: Release :exec
WITH released AS (
    DELETE FROM concats WHERE final_id = (SELECT f.id FROM uploads AS f WHERE f.id = @final_id AND f.tenant = @tenant)
    RETURNING partial_id
)
UPDATE uploads SET sweep_at = clock_timestamp()
WHERE id IN (SELECT partial_id FROM released) AND uploads.tenant = @tenant AND state = 'gone';
