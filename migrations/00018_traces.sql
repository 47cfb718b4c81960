-- One trace for all that is done for a job.

-- +goose Up

-- The request that created the job, as W3C Trace Context names it; '' where nobody
-- traces. PATCHes and attempts, which come by other processes and much later, are
-- parts of its trace.
ALTER TABLE jobs ADD COLUMN traceparent text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN traceparent;
