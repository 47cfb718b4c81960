-- name: InsertToken :one
INSERT INTO upload_tokens (digest, tenant, max_bytes, expires_at)
VALUES (@digest, @tenant, @max_bytes, clock_timestamp() + @expires_in::interval)
RETURNING expires_at;

-- DeleteTokens removes those that have expired.
-- name: DeleteTokens :exec
DELETE FROM upload_tokens WHERE tenant = @tenant AND expires_at <= clock_timestamp();

-- TokenTenant is how a token is known: nothing else tells whose it is.
-- name: TokenTenant :one
SELECT tenant FROM upload_tokens WHERE digest = @digest AND expires_at > clock_timestamp();

-- ChargeToken takes the bytes of a new upload off what is left to its token.
-- name: ChargeToken :execrows
UPDATE upload_tokens SET used_bytes = used_bytes + @size_bytes::bigint
WHERE digest = @digest AND tenant = @tenant AND expires_at > clock_timestamp() AND @size_bytes::bigint <= max_bytes - used_bytes;

-- name: InsertTokenUpload :exec
INSERT INTO token_uploads (upload_id, digest, tenant) VALUES (@upload_id, @digest, @tenant);

-- name: IsTokenUpload :one
SELECT EXISTS (SELECT FROM token_uploads WHERE upload_id = @upload_id AND digest = @digest AND tenant = @tenant);
