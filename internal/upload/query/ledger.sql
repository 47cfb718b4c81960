-- name: InsertUpload :one
INSERT INTO uploads (id, tenant, size_bytes, metadata, concat, concat_header, once, expires_at)
VALUES (@id, @tenant, sqlc.narg(size_bytes), @metadata, @concat, @concat_header, @once, clock_timestamp() + @expiry::interval)
RETURNING *;

-- GetUpload: a final upload has no expiry of its own. See EndExpired.
-- name: GetUpload :one
SELECT sqlc.embed(uploads), (uploads.state = 'open' AND uploads.concat <> 'final' AND uploads.expires_at <= clock_timestamp())::boolean AS expired
FROM uploads
WHERE id = @id AND tenant = @tenant;

-- TakeUpload makes the caller the only writer: every commit of an earlier one fails from here on.
-- name: TakeUpload :one
UPDATE uploads
SET epoch = epoch + 1, holder = @holder, expires_at = clock_timestamp() + @expiry::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open' AND concat IN ('', 'partial') AND offset_bytes = @offset_bytes AND expires_at > clock_timestamp()
RETURNING *;

-- Advance moves the offset over one more part, if the caller still is the writer.
-- name: Advance :one
UPDATE uploads
SET offset_bytes = @to_bytes, crc64 = @crc64, expires_at = clock_timestamp() + @expiry::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND epoch = @epoch AND state = 'open' AND offset_bytes = @from_bytes
RETURNING *;

-- DeclareLength sets the length of an upload that was created without one.
-- name: DeclareLength :one
UPDATE uploads
SET size_bytes = @size_bytes, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open' AND concat <> 'final' AND size_bytes IS NULL AND offset_bytes <= @size_bytes
RETURNING *;

-- CompleteUpload also has the parts made one object, unless there is but one.
-- name: CompleteUpload :exec
UPDATE uploads
SET state = 'complete', sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp(),
    compose_at = CASE WHEN concat IN ('final', 'batches') OR EXISTS (SELECT FROM parts WHERE upload_id = uploads.id AND start_bytes > 0) THEN clock_timestamp() END
WHERE id = @id AND tenant = @tenant AND state = 'open';

-- EndUpload ends an open upload without completing it; raising the epoch stops its writer. A partial one is open even
-- when it is full.
-- name: EndUpload :one
UPDATE uploads
SET state = 'gone', epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant AND state = 'open'
RETURNING *;

-- EndExpired is EndUpload of the upload that expired first and that nobody else is about to end. An open final upload
-- waits for a partial one, with whose expiry it ends.
-- name: EndExpired :one
UPDATE uploads
SET state = 'gone', epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = (
    SELECT u.id FROM uploads AS u
    WHERE u.state = 'open' AND u.concat <> 'final' AND u.expires_at <= clock_timestamp()
    ORDER BY u.expires_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- ClaimSweep returns the ended upload whose grace time was over first. It is due again after the next one, unless Swept
-- comes before: a sweeper that dies leaves nothing locked.
-- name: ClaimSweep :one
UPDATE uploads
SET sweep_at = clock_timestamp() + @grace::interval
WHERE id = (
    SELECT u.id FROM uploads AS u
    WHERE u.sweep_at <= clock_timestamp()
    ORDER BY u.sweep_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- name: Swept :exec
UPDATE uploads SET sweep_at = NULL WHERE id = @id AND sweep_at = @sweep_at;

-- PutPart records a part, or the fuller one that takes the place of a remainder.
-- name: PutPart :exec
INSERT INTO parts (upload_id, start_bytes, size_bytes, object_key, etag, crc64)
VALUES (@upload_id, @start_bytes, @size_bytes, @object_key, @etag, @crc64)
ON CONFLICT (upload_id, start_bytes) DO UPDATE
SET size_bytes = excluded.size_bytes, object_key = excluded.object_key, etag = excluded.etag, crc64 = excluded.crc64;

-- name: LastPart :one
SELECT * FROM parts
WHERE upload_id = (SELECT u.id FROM uploads AS u WHERE u.id = @upload_id AND u.tenant = @tenant) ORDER BY start_bytes DESC LIMIT 1;

-- name: PartKeys :many
SELECT object_key FROM parts WHERE upload_id = @upload_id;

-- RenewOnce keeps an upload that one request writes from expiring while that goes on.
-- name: RenewOnce :exec
UPDATE uploads SET expires_at = clock_timestamp() + @expiry::interval WHERE id = @id AND tenant = @tenant AND state = 'open' AND once;

-- DeleteParts empties a manifest, unless a final upload needs it.
-- name: DeleteParts :many
DELETE FROM parts
WHERE upload_id = (SELECT u.id FROM uploads AS u WHERE u.id = @upload_id AND u.tenant = @tenant) AND NOT EXISTS (
    SELECT FROM concats JOIN uploads AS f ON f.id = concats.final_id
    WHERE concats.partial_id = @upload_id AND f.state <> 'gone'
)
RETURNING object_key;

-- Leave says that the writer is done. It is not the safety: that is the epoch.
-- name: Leave :exec
UPDATE uploads SET holder = '' WHERE id = @id AND tenant = @tenant AND epoch = @epoch AND state = 'open';

-- name: Holder :one
SELECT holder FROM uploads WHERE id = @id AND tenant = @tenant;

-- AskToLeave is heard by Store.Heard of the holder.
-- name: AskToLeave :exec
SELECT pg_notify('sluice_upload', @holder::text || ' ' || @id::text);

-- KeepUpload makes a partial upload that one request wrote the whole file of a job.
-- name: KeepUpload :execrows
UPDATE uploads
SET state = 'complete', concat = '', size_bytes = offset_bytes, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp(),
    compose_at = CASE WHEN EXISTS (SELECT FROM parts WHERE upload_id = uploads.id AND start_bytes > 0) THEN clock_timestamp() END
WHERE id = @id AND tenant = @tenant AND state = 'open' AND concat = 'partial' AND once AND epoch = @epoch AND offset_bytes = @offset_bytes;
