-- What sweeps, recovery, gauges and operators' commands may do with every tenant's
-- rows, and the look-ups that tell whose a key, a session or a token is. None reads an
-- offer or a webhook's log, and none writes a result.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_system;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM sluice_system;

GRANT SELECT ON access_keys TO sluice_system; -- access.AnyKey
GRANT INSERT ON access_keys TO sluice_system; -- access.InsertKey
GRANT UPDATE ON access_keys TO sluice_system; -- access.LockKey

GRANT SELECT ON access_sessions TO sluice_system; -- access.LiveSession
GRANT INSERT ON access_sessions TO sluice_system; -- access.BeginSession
GRANT UPDATE ON access_sessions TO sluice_system; -- access.DropSessions
GRANT DELETE ON access_sessions TO sluice_system; -- access.DropSessions

GRANT SELECT ON audit TO sluice_system; -- audit.ListEntries
GRANT INSERT ON audit TO sluice_system; -- audit.InsertEntry

GRANT SELECT ON concats TO sluice_system; -- upload.DeleteParts
GRANT DELETE ON concats TO sluice_system; -- upload.Release

GRANT SELECT ON deliveries TO sluice_system; -- job.Gauges
GRANT INSERT ON deliveries TO sluice_system; -- job.InsertDelivery
GRANT UPDATE ON deliveries TO sluice_system; -- job.ClaimDelivery
GRANT DELETE ON deliveries TO sluice_system; -- job.ForgetDeliveries

GRANT SELECT ON drops TO sluice_system; -- drop.Busy
GRANT UPDATE ON drops TO sluice_system; -- drop.ClaimAction

GRANT SELECT ON ended_sessions TO sluice_system; -- session.DropSessions
GRANT UPDATE ON ended_sessions TO sluice_system; -- session.DropSessions
GRANT DELETE ON ended_sessions TO sluice_system; -- session.DropSessions

GRANT SELECT ON erasures TO sluice_system; -- access.AnyKey
GRANT UPDATE ON erasures TO sluice_system; -- erasure.ClaimErasure

GRANT SELECT ON goose_db_version TO sluice_system; -- migrations.CheckSluice

GRANT SELECT ON idempotency_keys TO sluice_system; -- idempotency.DropKeys
GRANT UPDATE ON idempotency_keys TO sluice_system; -- idempotency.DropKeys
GRANT DELETE ON idempotency_keys TO sluice_system; -- idempotency.DropKeys

GRANT SELECT ON jobs TO sluice_system; -- job.CountSlots
GRANT UPDATE ON jobs TO sluice_system; -- job.LockHeld

GRANT SELECT ON parts TO sluice_system; -- upload.DeleteParts
GRANT INSERT ON parts TO sluice_system; -- upload.PutPart
GRANT UPDATE ON parts TO sluice_system; -- upload.PutPart
GRANT DELETE ON parts TO sluice_system; -- upload.DeleteParts

GRANT SELECT ON results TO sluice_system; -- job.LiveObjects

GRANT SELECT ON river_job TO sluice_system; -- job.HoldJobs
GRANT INSERT ON river_job TO sluice_system; -- river.JobInsertFastMany
GRANT UPDATE ON river_job TO sluice_system; -- job.Reprioritize
GRANT DELETE ON river_job TO sluice_system; -- job.HoldJobs

GRANT SELECT ON river_migration TO sluice_system; -- migrations.CheckRiver

GRANT SELECT ON river_queue TO sluice_system; -- job.GetJob
GRANT INSERT ON river_queue TO sluice_system; -- job.KnowQueue
GRANT UPDATE ON river_queue TO sluice_system; -- river.QueuePause

GRANT INSERT ON steps TO sluice_system; -- job.SaveJob

GRANT SELECT ON strays TO sluice_system; -- job.ClaimStray
GRANT INSERT ON strays TO sluice_system; -- job.KeepStray
GRANT UPDATE ON strays TO sluice_system; -- job.ClaimStray
GRANT DELETE ON strays TO sluice_system; -- job.StraySwept

GRANT SELECT ON tenant_limits TO sluice_system; -- job.ListRetentions
GRANT INSERT ON tenant_limits TO sluice_system; -- job.AddLimit
GRANT UPDATE ON tenant_limits TO sluice_system; -- job.LockLimit

GRANT SELECT ON tenant_usage TO sluice_system; -- job.ChargeTenant
GRANT INSERT ON tenant_usage TO sluice_system; -- job.ChargeTenant
GRANT UPDATE ON tenant_usage TO sluice_system; -- job.ChargeTenant
GRANT DELETE ON tenant_usage TO sluice_system; -- job.ForgetUsage

GRANT SELECT ON upload_tokens TO sluice_system; -- upload.TokenTenant

GRANT SELECT ON uploads TO sluice_system; -- job.GetJob
GRANT UPDATE ON uploads TO sluice_system; -- upload.ClaimCompose

GRANT SELECT ON watches TO sluice_system; -- drop.ListSoon
GRANT INSERT ON watches TO sluice_system; -- drop.InsertWatch
GRANT UPDATE ON watches TO sluice_system; -- drop.ClaimListing

GRANT SELECT ON webhooks TO sluice_system; -- job.MatchWebhooks
GRANT UPDATE ON webhooks TO sluice_system; -- job.MatchWebhooks

GRANT USAGE ON SEQUENCE river_job_id_seq TO sluice_system; -- river.JobID
