-- What an attempt at a job may do for the job's tenant, beside the policies of its
-- rows. The rows of offers are written to their partition, which nothing else may touch.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_worker;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM sluice_worker;

GRANT INSERT ON audit TO sluice_worker; -- audit.InsertEntry

GRANT SELECT ON deliveries TO sluice_worker; -- job.SaveDelivery
GRANT INSERT ON deliveries TO sluice_worker; -- job.InsertDelivery
GRANT UPDATE ON deliveries TO sluice_worker; -- job.SaveDelivery

GRANT INSERT ON delivery_attempts TO sluice_worker; -- job.InsertAttempt

GRANT SELECT ON drops TO sluice_worker; -- drop.GetSource

GRANT SELECT ON erasures TO sluice_worker; -- job.HoldObjects

GRANT SELECT ON idempotency_keys TO sluice_worker; -- idempotency.KeepAnswer
GRANT UPDATE ON idempotency_keys TO sluice_worker; -- idempotency.KeepAnswer

GRANT SELECT ON jobs TO sluice_worker; -- job.CountSlots
GRANT INSERT ON jobs TO sluice_worker; -- job.CreateJob
GRANT UPDATE ON jobs TO sluice_worker; -- job.ExtendLease

GRANT INSERT ON offers_rows TO sluice_worker; -- job.CopyOffers

GRANT SELECT ON parts TO sluice_worker; -- job.ListParts

GRANT SELECT ON results TO sluice_worker; -- job.DeleteResult
GRANT INSERT ON results TO sluice_worker; -- job.InsertResult
GRANT DELETE ON results TO sluice_worker; -- job.DeleteResult

GRANT SELECT ON river_job TO sluice_worker; -- river.JobInsertFastMany
GRANT INSERT ON river_job TO sluice_worker; -- river.JobInsertFastMany
GRANT UPDATE ON river_job TO sluice_worker; -- river.JobInsertFastMany
GRANT DELETE ON river_job TO sluice_worker; -- job.HoldJobs

GRANT INSERT ON steps TO sluice_worker; -- job.SaveJob

GRANT SELECT ON strays TO sluice_worker; -- job.HoldObjects
GRANT INSERT ON strays TO sluice_worker; -- job.HoldObjects
GRANT UPDATE ON strays TO sluice_worker; -- job.HoldObjectsOn
GRANT DELETE ON strays TO sluice_worker; -- job.KeepObjects

GRANT SELECT ON tenant_limits TO sluice_worker; -- job.LockHeld
GRANT UPDATE ON tenant_limits TO sluice_worker; -- job.LockLimit

GRANT SELECT ON tenant_usage TO sluice_worker; -- job.ChargeTenant
GRANT INSERT ON tenant_usage TO sluice_worker; -- job.ChargeTenant
GRANT UPDATE ON tenant_usage TO sluice_worker; -- job.ChargeTenant

GRANT SELECT ON uploads TO sluice_worker; -- job.ListParts
GRANT UPDATE ON uploads TO sluice_worker; -- upload.KeepUpload

GRANT SELECT ON webhooks TO sluice_worker; -- job.MatchWebhooks
GRANT UPDATE ON webhooks TO sluice_worker; -- job.MatchWebhooks

GRANT USAGE ON SEQUENCE river_job_id_seq TO sluice_worker; -- river.JobID
