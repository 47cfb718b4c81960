-- Each deletes some of a tenant's rows of one table, with what hangs on them.

-- name: DeleteDeliveries :execrows
DELETE FROM deliveries WHERE id IN (SELECT o.id FROM deliveries AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteWebhooks :execrows
DELETE FROM webhooks WHERE id IN (SELECT o.id FROM webhooks AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteDrops :execrows
DELETE FROM drops WHERE id IN (SELECT o.id FROM drops AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteWatches :execrows
DELETE FROM watches WHERE id IN (SELECT o.id FROM watches AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE (tenant, key) IN (SELECT o.tenant, o.key FROM idempotency_keys AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteTokens :execrows
DELETE FROM upload_tokens WHERE digest IN (SELECT o.digest FROM upload_tokens AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteEndedSessions :execrows
DELETE FROM ended_sessions WHERE id IN (SELECT o.id FROM ended_sessions AS o WHERE o.tenant = @tenant LIMIT 1000);

-- name: DeleteLimits :execrows
DELETE FROM tenant_limits WHERE tenant = @tenant;

-- name: DeleteUsage :execrows
DELETE FROM tenant_usage WHERE tenant = @tenant;

-- name: DeleteConcats :execrows
DELETE FROM concats WHERE (final_id, position) IN (
    SELECT o.final_id, o.position FROM concats AS o JOIN uploads ON uploads.id = o.final_id WHERE uploads.tenant = @tenant LIMIT 1000
);

-- name: DeleteUploads :execrows
DELETE FROM uploads WHERE id IN (SELECT o.id FROM uploads AS o WHERE o.tenant = @tenant LIMIT 1000);

-- ForgetPersons is not a deletion: what it leaves of an entry is the trigger's to say.
-- name: ForgetPersons :execrows
UPDATE audit SET client = '' WHERE id IN (
    SELECT o.id FROM audit AS o WHERE o.tenant = @tenant AND (o.client <> '' OR o.actor LIKE 'jwt:%' AND o.actor <> 'jwt:erased') LIMIT 1000
);

-- name: DeleteSessions :execrows
DELETE FROM access_sessions WHERE digest IN (SELECT o.digest FROM access_sessions AS o WHERE o.tenant = @tenant LIMIT 1000);

-- DeleteKeys deletes all of them at once: one may refer to another.
-- name: DeleteKeys :execrows
DELETE FROM access_keys WHERE tenant = @tenant;
