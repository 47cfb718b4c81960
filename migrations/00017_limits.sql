-- What a tenant may have of what all share: its place in the queue, how many of
-- its jobs run at once, how long they are kept.

-- +goose Up

CREATE TABLE tenant_limits (
  tenant            text PRIMARY KEY CHECK (tenant <> ''),
  priority          smallint NOT NULL DEFAULT 3 CHECK (priority BETWEEN 2 AND 4), -- River's; 1 is for jobs that were begun
  max_running       int CHECK (max_running >= 0),          -- NULL: no cap
  retention_seconds bigint CHECK (retention_seconds >= 0), -- of ended jobs; 0: for ever; NULL: as long as anybody's
  updated_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A queued job is held while its tenant has as many under way as it may: then no
-- River job announces it. queued_at is its place among its tenant's.
ALTER TABLE jobs
  ADD COLUMN held      boolean     NOT NULL DEFAULT false,
  ADD COLUMN queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD CONSTRAINT jobs_held CHECK (NOT held OR (state = 'UPLOAD_COMPLETE' AND river_job_id IS NULL));
UPDATE jobs SET queued_at = created_at WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS');

-- Beside recovery and the gauges, who counts what a tenant has under way and who
-- looks for the first of its held jobs reads no other row. It still holds no
-- column that a heartbeat changes.
DROP INDEX jobs_unfinished;
CREATE INDEX jobs_unfinished ON jobs (tenant, held, queued_at, id) WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS');

-- +goose Down
DROP INDEX jobs_unfinished;
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS');
ALTER TABLE jobs DROP COLUMN queued_at, DROP COLUMN held;
DROP TABLE tenant_limits;
