-- What the erasure of a tenant may do, beside the policies of its rows: delete them, and
-- end what is under way as the doors would. It reads no offer to anybody, and adds nothing
-- but what says that it was.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_eraser;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM sluice_eraser;

GRANT SELECT ON access_keys TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON access_keys TO sluice_eraser; -- erasure.DeleteKeys

GRANT SELECT ON access_sessions TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON access_sessions TO sluice_eraser; -- erasure.DeleteSessions

GRANT SELECT ON audit TO sluice_eraser; -- erasure.ForgetPersons
GRANT INSERT ON audit TO sluice_eraser; -- audit.InsertEntry
GRANT UPDATE ON audit TO sluice_eraser; -- erasure.ForgetPersons

GRANT SELECT ON batched TO sluice_eraser; -- erasure.CountRows
GRANT UPDATE ON batched TO sluice_eraser; -- upload.ForgetBatched

GRANT SELECT ON batches TO sluice_eraser; -- erasure.CountRows

GRANT SELECT ON concats TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON concats TO sluice_eraser; -- erasure.DeleteConcats

GRANT SELECT ON deliveries TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON deliveries TO sluice_eraser; -- erasure.DeleteDeliveries

GRANT SELECT ON delivery_attempts TO sluice_eraser; -- erasure.CountRows

GRANT SELECT ON drops TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON drops TO sluice_eraser; -- erasure.DeleteDrops

GRANT SELECT ON ended_sessions TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON ended_sessions TO sluice_eraser; -- erasure.DeleteEndedSessions

GRANT SELECT ON erasures TO sluice_eraser; -- erasure.Progress
GRANT INSERT ON erasures TO sluice_eraser; -- erasure.InsertErasure
GRANT UPDATE ON erasures TO sluice_eraser; -- erasure.FinishErasure

GRANT SELECT ON idempotency_keys TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON idempotency_keys TO sluice_eraser; -- erasure.DeleteIdempotencyKeys

GRANT SELECT ON jobs TO sluice_eraser; -- erasure.ListJobs
GRANT UPDATE ON jobs TO sluice_eraser; -- job.LockOwn
GRANT DELETE ON jobs TO sluice_eraser; -- job.DeleteJob

GRANT SELECT ON offers TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON offers TO sluice_eraser; -- job.DeleteOffers

GRANT SELECT ON parts TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON parts TO sluice_eraser; -- upload.DeleteParts

GRANT SELECT ON results TO sluice_eraser; -- erasure.CountRows

GRANT SELECT ON steps TO sluice_eraser; -- erasure.CountRows
GRANT INSERT ON steps TO sluice_eraser; -- job.SaveJob

GRANT SELECT ON strays TO sluice_eraser; -- erasure.IsSettled
GRANT INSERT ON strays TO sluice_eraser; -- job.KeepStray
GRANT UPDATE ON strays TO sluice_eraser; -- job.KeepStray

GRANT SELECT ON tenant_limits TO sluice_eraser; -- job.LockJob
GRANT DELETE ON tenant_limits TO sluice_eraser; -- erasure.DeleteLimits

GRANT SELECT ON tenant_usage TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON tenant_usage TO sluice_eraser; -- erasure.DeleteUsage

GRANT SELECT ON token_uploads TO sluice_eraser; -- erasure.CountRows

GRANT SELECT ON upload_tokens TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON upload_tokens TO sluice_eraser; -- erasure.DeleteTokens

GRANT SELECT ON uploads TO sluice_eraser; -- erasure.EndUploads
GRANT UPDATE ON uploads TO sluice_eraser; -- erasure.EndUploads
GRANT DELETE ON uploads TO sluice_eraser; -- erasure.DeleteUploads

GRANT SELECT ON watches TO sluice_eraser; -- erasure.CountRows
GRANT DELETE ON watches TO sluice_eraser; -- erasure.DeleteWatches

GRANT SELECT ON webhooks TO sluice_eraser; -- erasure.CountRows
GRANT UPDATE ON webhooks TO sluice_eraser; -- job.MatchWebhooks
GRANT DELETE ON webhooks TO sluice_eraser; -- erasure.DeleteWebhooks
