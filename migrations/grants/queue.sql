-- What River may do: its own tables, and none of ours.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_queue;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM sluice_queue;

GRANT SELECT ON river_job TO sluice_queue; -- river.JobGetByID
GRANT INSERT ON river_job TO sluice_queue; -- river.JobInsertFastMany
GRANT UPDATE ON river_job TO sluice_queue; -- river.JobGetAvailable
GRANT DELETE ON river_job TO sluice_queue; -- river.JobDeleteBefore

GRANT SELECT ON river_leader TO sluice_queue; -- river.LeaderAttemptElect
GRANT INSERT ON river_leader TO sluice_queue; -- river.LeaderAttemptElect
GRANT UPDATE ON river_leader TO sluice_queue; -- river.LeaderAttemptReelect
GRANT DELETE ON river_leader TO sluice_queue; -- river.LeaderDeleteExpired

GRANT SELECT ON river_queue TO sluice_queue; -- river.QueueGet
GRANT INSERT ON river_queue TO sluice_queue; -- river.QueueCreateOrSetUpdatedAt
GRANT UPDATE ON river_queue TO sluice_queue; -- river.QueueCreateOrSetUpdatedAt
GRANT DELETE ON river_queue TO sluice_queue; -- river.QueueDeleteExpired

GRANT USAGE ON SEQUENCE river_job_id_seq TO sluice_queue; -- river.JobID
