-- RemoveUpload ends an upload in any state; its objects are swept after the grace time. What its client said of it does
-- not stay.
-- name: RemoveUpload :exec
UPDATE uploads
SET state = 'gone', metadata = '{}', epoch = epoch + 1, sweep_at = clock_timestamp() + @grace::interval, updated_at = clock_timestamp()
WHERE id = @id AND tenant = @tenant;

-- ForgetBatched keeps of a job in batches that was deleted no more than its session's name and which batches had come.
-- name: ForgetBatched :exec
UPDATE batched SET header = NULL, credit_model_config = '', aggregate_config = '', parse_config = ''
WHERE upload_id = @upload_id AND tenant = @tenant;
