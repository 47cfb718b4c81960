-- What the doors may do for the tenant that asks, beside the policies of its rows.
-- Each line is one right, and names a statement that needs it: TestGrants takes it away
-- and sees that one fail.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_tenant;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM sluice_tenant;

GRANT SELECT ON audit TO sluice_tenant; -- audit.ListEntries
GRANT INSERT ON audit TO sluice_tenant; -- audit.InsertEntry

GRANT SELECT ON batched TO sluice_tenant; -- upload.CountBatch
GRANT INSERT ON batched TO sluice_tenant; -- upload.InsertBatched
GRANT UPDATE ON batched TO sluice_tenant; -- upload.LockBatched

GRANT SELECT ON batches TO sluice_tenant; -- upload.GetBatch
GRANT INSERT ON batches TO sluice_tenant; -- upload.InsertBatch

GRANT SELECT ON concats TO sluice_tenant; -- upload.ListPartials
GRANT INSERT ON concats TO sluice_tenant; -- upload.InsertConcat

GRANT SELECT ON deliveries TO sluice_tenant; -- job.ListDeliveries
GRANT INSERT ON deliveries TO sluice_tenant; -- job.InsertDelivery
GRANT UPDATE ON deliveries TO sluice_tenant; -- job.Reenqueued

GRANT SELECT ON delivery_attempts TO sluice_tenant; -- job.ListAttempts

GRANT SELECT ON drops TO sluice_tenant; -- drop.KeepRest
GRANT INSERT ON drops TO sluice_tenant; -- drop.InsertDrop
GRANT UPDATE ON drops TO sluice_tenant; -- drop.TakeTurn

GRANT SELECT ON ended_sessions TO sluice_tenant; -- session.IsEnded
GRANT INSERT ON ended_sessions TO sluice_tenant; -- session.EndSession

GRANT SELECT ON erasures TO sluice_tenant; -- erasure.GetErasure

GRANT SELECT ON idempotency_keys TO sluice_tenant; -- idempotency.GetKey
GRANT INSERT ON idempotency_keys TO sluice_tenant; -- idempotency.TakeKey
GRANT UPDATE ON idempotency_keys TO sluice_tenant; -- idempotency.TakeKey
GRANT DELETE ON idempotency_keys TO sluice_tenant; -- idempotency.FreeKey

GRANT SELECT ON jobs TO sluice_tenant; -- job.GetJob
GRANT INSERT ON jobs TO sluice_tenant; -- job.CreateJob
GRANT UPDATE ON jobs TO sluice_tenant; -- job.LockJob
GRANT DELETE ON jobs TO sluice_tenant; -- job.DeleteJob

GRANT SELECT ON offers TO sluice_tenant; -- job.CountAmounts
GRANT DELETE ON offers TO sluice_tenant; -- job.DeleteOffers

GRANT SELECT ON parts TO sluice_tenant; -- upload.CompleteUpload
GRANT INSERT ON parts TO sluice_tenant; -- upload.Join
GRANT UPDATE ON parts TO sluice_tenant; -- upload.PutPart
GRANT DELETE ON parts TO sluice_tenant; -- upload.DeleteParts

GRANT SELECT ON results TO sluice_tenant; -- job.ListResults

GRANT SELECT ON river_job TO sluice_tenant; -- river.JobInsertFastMany
GRANT INSERT ON river_job TO sluice_tenant; -- river.JobInsertFastMany
GRANT UPDATE ON river_job TO sluice_tenant; -- river.JobInsertFastMany
GRANT DELETE ON river_job TO sluice_tenant; -- job.HoldJobs

GRANT SELECT ON river_queue TO sluice_tenant; -- job.GetJob

GRANT SELECT ON steps TO sluice_tenant; -- job.ListSteps
GRANT INSERT ON steps TO sluice_tenant; -- job.SaveJob

GRANT SELECT ON strays TO sluice_tenant; -- job.KeepStray
GRANT INSERT ON strays TO sluice_tenant; -- job.KeepStray
GRANT UPDATE ON strays TO sluice_tenant; -- job.KeepStray

GRANT SELECT ON tenant_limits TO sluice_tenant; -- job.LockJob
GRANT UPDATE ON tenant_limits TO sluice_tenant; -- job.LockLimit

GRANT SELECT ON tenant_usage TO sluice_tenant; -- job.ChargeTenant
GRANT INSERT ON tenant_usage TO sluice_tenant; -- job.ChargeTenant
GRANT UPDATE ON tenant_usage TO sluice_tenant; -- job.ChargeTenant

GRANT SELECT ON token_uploads TO sluice_tenant; -- upload.IsTokenUpload
GRANT INSERT ON token_uploads TO sluice_tenant; -- upload.InsertTokenUpload

GRANT SELECT ON upload_tokens TO sluice_tenant; -- upload.ChargeToken
GRANT INSERT ON upload_tokens TO sluice_tenant; -- upload.InsertToken
GRANT UPDATE ON upload_tokens TO sluice_tenant; -- upload.ChargeToken
GRANT DELETE ON upload_tokens TO sluice_tenant; -- upload.DeleteTokens

GRANT SELECT ON uploads TO sluice_tenant; -- job.GetJob
GRANT INSERT ON uploads TO sluice_tenant; -- upload.InsertUpload
GRANT UPDATE ON uploads TO sluice_tenant; -- upload.Advance

GRANT SELECT ON watches TO sluice_tenant; -- drop.GetWatch
GRANT UPDATE ON watches TO sluice_tenant; -- drop.HoldWatch
GRANT DELETE ON watches TO sluice_tenant; -- drop.DeleteWatch

GRANT SELECT ON webhooks TO sluice_tenant; -- job.HasWebhook
GRANT INSERT ON webhooks TO sluice_tenant; -- job.InsertWebhook
GRANT UPDATE ON webhooks TO sluice_tenant; -- job.EnableWebhook
GRANT DELETE ON webhooks TO sluice_tenant; -- job.DeleteWebhook

GRANT USAGE ON SEQUENCE river_job_id_seq TO sluice_tenant; -- river.JobID
