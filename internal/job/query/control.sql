-- name: LockOwn :one
SELECT state, (size_bytes IS NOT NULL)::boolean AS received FROM jobs WHERE tenant = @tenant AND id = @id FOR NO KEY UPDATE;

-- name: DeleteOffers :exec
DELETE FROM offers WHERE job_id = @job_id;

-- name: DeleteJob :exec
DELETE FROM jobs WHERE id = @id;

-- name: TellStop :exec
SELECT pg_notify('sluice_stop', @id);
