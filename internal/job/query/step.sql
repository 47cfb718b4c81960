-- name: CreateJob :exec
INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config, sha256, traceparent)
VALUES (@id, @tenant, @channel, @filename, @state, @credit_model_config, @aggregate_config, @parse_config, @sha256, @traceparent);

-- name: ConfigureJob :execrows
UPDATE jobs SET filename = @filename, credit_model_config = @credit_model_config, aggregate_config = @aggregate_config, parse_config = @parse_config, sha256 = @sha256
WHERE tenant = @tenant AND id = @id AND state = 'OPEN';

-- name: LockJob :one
-- The clock is read behind the lock: before it, a wait would make it late. A tenant
-- without limits has priority 3, normal, and no cap.
WITH locked AS MATERIALIZED (SELECT * FROM jobs WHERE id = @id FOR NO KEY UPDATE)
SELECT locked.*, clock_timestamp()::timestamptz AS clock,
  COALESCE(l.priority, 3)::smallint AS priority, (l.max_running IS NOT NULL)::boolean AS capped
FROM locked LEFT JOIN tenant_limits AS l ON l.tenant = locked.tenant;

-- name: SaveJob :exec
-- Saves what a step changes, keeps it for those who were away, and tells the listeners, in one statement.
WITH saved AS (
  UPDATE jobs SET
    state = @state, stage = @stage, version = @version, size_bytes = @size_bytes, crc64 = @crc64, reference_date = @reference_date,
    fence = @fence, river_job_id = @river_job_id, lease_expires_at = @lease_expires_at, worker = @worker, attempts = @attempts,
    processed_bytes = @processed_bytes, rows_accepted = @rows_accepted, rows_rejected = @rows_rejected, rejects_by_reason = @rejects_by_reason,
    alone = @alone, solitary = @solitary, deaths = @deaths, death_fences = @death_fences, wait_reason = @wait_reason, wait_until = @wait_until,
    held = @held, queued_at = @queued_at,
    error_code = @error_code, error_message = @error_message, can_retry = @can_retry,
    updated_at = @updated_at, started_at = @started_at, completed_at = @completed_at
  WHERE id = @id AND tenant = @tenant
  RETURNING *),
kept AS (
  INSERT INTO steps (job_id, version, state, stage, processed_bytes, rows_accepted, rows_rejected, rejects_by_reason, error_code, error_message, can_retry, at)
  SELECT id, version, state, stage, processed_bytes, rows_accepted, rows_rejected, rejects_by_reason, error_code, error_message, can_retry, updated_at FROM saved)
SELECT pg_notify('sluice_job', id) FROM saved;

-- name: DeleteResult :exec
DELETE FROM results WHERE job_id = @job_id AND tenant = @tenant;

-- name: InsertResult :exec
INSERT INTO results (
  job_id, tenant, fence, engine, model_version, config_used, config_sha256, as_of, currency_exponent, group_by,
  transactions_processed, rows_rejected, future_rows, aggregates_created, offers_generated, declined, skipped, duration_ms,
  aggregates_key, aggregates_etag, aggregates_size_bytes, aggregates_crc64, rejects_key, rejects_etag, rejects_size_bytes, rejects_crc64)
VALUES (
  @job_id, @tenant, @fence, @engine, @model_version, @config_used, @config_sha256, @as_of, @currency_exponent, @group_by,
  @transactions_processed, @rows_rejected, @future_rows, @aggregates_created, @offers_generated, @declined, @skipped, @duration_ms,
  @aggregates_key, @aggregates_etag, @aggregates_size_bytes, @aggregates_crc64, @rejects_key, @rejects_etag, @rejects_size_bytes, @rejects_crc64);
