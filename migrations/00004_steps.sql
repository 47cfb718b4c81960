-- +goose Up

-- One row per change of a job's state, as it was then: what a listener that was
-- away has missed. Written by the statement that changes the state.
CREATE TABLE steps (
  job_id          text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
  version         bigint NOT NULL, -- of the job, after the step
  state           text NOT NULL,
  stage           text,
  processed_bytes bigint NOT NULL,
  rows_accepted   bigint NOT NULL,
  rows_rejected   bigint NOT NULL,
  error_code      text,
  error_message   text,
  can_retry       boolean NOT NULL,
  at              timestamptz NOT NULL,
  PRIMARY KEY (job_id, version) -- reads what came after a version, in order
);

-- +goose Down
DROP TABLE steps;
