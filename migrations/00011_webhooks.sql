-- Webhooks: who is told when a job ends, and what became of the telling.

-- +goose Up

CREATE TABLE webhooks (
  id              text COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- wh_ and a UUIDv7
  tenant          text NOT NULL CHECK (tenant <> ''),
  url             text NOT NULL CHECK (url <> ''),
  event_types     text[] NOT NULL,
  job_id          text COLLATE "C",              -- only this job's events; NULL: every job's
  secret          text NOT NULL,                 -- signs: a digest could not
  previous_secret text NOT NULL DEFAULT '',      -- signs too until previous_until
  previous_until  timestamptz,
  failing_since   timestamptz,                   -- of the first failure since the last success
  disabled_at     timestamptz,
  disabled_reason text NOT NULL DEFAULT '',
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A job's end asks for its tenant's webhooks, and so does their list.
CREATE INDEX webhooks_by_tenant ON webhooks (tenant, id);

-- One event on its way to one webhook. No key to jobs: it outlives a deleted one.
CREATE TABLE deliveries (
  id           text COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- msg_ and a UUIDv7: the webhook-id that receivers see
  tenant       text NOT NULL CHECK (tenant <> ''),
  webhook_id   text COLLATE "C" NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  job_id       text COLLATE "C" NOT NULL,
  event_type   text NOT NULL,
  payload      text NOT NULL,             -- the body, the same for each attempt
  state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts     int NOT NULL DEFAULT 0,    -- since it was enqueued or replayed
  fence        bigint NOT NULL DEFAULT 1, -- raised by each claim, recovery and replay
  river_job_id bigint,                    -- the queue's row for this fence
  due_at       timestamptz NOT NULL,      -- of the next attempt; of a running one, when its worker counts as dead
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The log of one webhook, newest first.
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);

-- Recovery looks for pending ones past their time; ended ones, the great
-- majority, are not in it.
CREATE INDEX deliveries_pending ON deliveries (due_at) WHERE state = 'pending';

-- One row per attempt. Of the answer nothing is kept but its status.
CREATE TABLE delivery_attempts (
  delivery_id text COLLATE "C" NOT NULL REFERENCES deliveries ON DELETE CASCADE,
  fence       bigint NOT NULL,
  tenant      text NOT NULL CHECK (tenant <> ''),
  at          timestamptz NOT NULL,
  duration_ms bigint NOT NULL,
  status_code int NOT NULL,          -- 0: there was no answer
  error       text NOT NULL,         -- '': it was delivered
  PRIMARY KEY (delivery_id, fence)
);

-- +goose Down
DROP TABLE delivery_attempts, deliveries, webhooks;
