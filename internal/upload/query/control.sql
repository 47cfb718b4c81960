-- RemoveUpload ends an upload in any state; its objects are swept after the grace time.
-- name: RemoveUpload :exec
UPDATE uploads
SET state = 'gone', epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant;
