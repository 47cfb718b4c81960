-- What keeps a worker's fleet going: poison files, visible waits, leftovers.

-- +goose Up

-- A worker that dies may have been ended by one of its files. From then on each
-- of them is tried alone in its process, and only a death in solitude counts
-- against the file: see internal/job.
ALTER TABLE jobs
  ADD COLUMN alone       boolean NOT NULL DEFAULT false, -- its worker died: the next attempts are to have a process for themselves
  ADD COLUMN solitary    boolean NOT NULL DEFAULT false, -- the running attempt has it
  ADD COLUMN deaths      int     NOT NULL DEFAULT 0,     -- of workers that ran this job and no other
  ADD COLUMN wait_reason text    NOT NULL DEFAULT '',    -- why a queued job waits, for its user; '' for its turn alone
  ADD COLUMN wait_until  timestamptz;                    -- when it is tried again

-- Jobs of which an attempt was lost, or that were deleted: some time later their
-- objects are listed, and those that no result names are deleted. No key to
-- jobs: it outlives a deleted one.
CREATE TABLE strays (
  job_id   text COLLATE "C" PRIMARY KEY,
  tenant   text NOT NULL,
  sweep_at timestamptz NOT NULL
);

-- The sweep takes those that are due, oldest first.
CREATE INDEX strays_due ON strays (sweep_at);

-- +goose Down
DROP TABLE strays;
ALTER TABLE jobs DROP COLUMN wait_until, DROP COLUMN wait_reason, DROP COLUMN deaths, DROP COLUMN solitary, DROP COLUMN alone;
