-- name: InsertEntry :exec
INSERT INTO audit (tenant, actor, action, subject, detail, request_id, client)
VALUES (@tenant, @actor, @action, @subject, @detail, @request_id, @client);

-- ListEntries lists what a tenant's log has, or that of all where tenant is empty, newest first.
-- name: ListEntries :many
SELECT * FROM audit
WHERE (@tenant::text = '' OR tenant = @tenant) AND (@action::text = '' OR action = @action) AND (@subject::text = '' OR subject = @subject)
  AND (sqlc.narg('since')::timestamptz IS NULL OR at >= sqlc.narg('since')) AND id < @before
ORDER BY id DESC
LIMIT @max_rows;
