-- Ids sort by creation only under COLLATE "C"; so do accounts by their bytes.
-- River's own tables are migrated before this file: see migrations.go.

-- +goose Up

-- One row per file taken in. Workers update a row every few seconds, so pages
-- keep room for the next version beside the last (HOT), and no index holds a
-- column that a heartbeat or a progress report changes.
CREATE TABLE jobs (
  id                  text COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- job_ and a UUIDv7
  tenant              text NOT NULL CHECK (tenant <> ''),
  channel             text NOT NULL CHECK (channel <> ''), -- the door it came by: tus, …
  filename            text NOT NULL,
  state               text NOT NULL CHECK (state IN ('OPEN', 'UPLOAD_COMPLETE', 'IN_PROGRESS', 'JOB_COMPLETE', 'FAILED', 'ABORTED')),
  stage               text CHECK (stage IN ('parsing', 'scoring', 'persisting')),
  version             bigint NOT NULL DEFAULT 1, -- counts the changes that a user can see

  -- JSON as it was sent, or empty: as text, so that numbers stay exact.
  credit_model_config text NOT NULL,
  aggregate_config    text NOT NULL,
  parse_config        text NOT NULL,

  sha256              bytea CHECK (octet_length(sha256) = 32), -- what the client says the file hashes to
  size_bytes          bigint CHECK (size_bytes >= 0),          -- what was received
  crc64               bigint,                                  -- CRC-64/NVME of it; the bits of an unsigned number
  reference_date      date,                                    -- UTC day of the last byte: the model's clock, kept by every retry

  fence               bigint NOT NULL DEFAULT 0, -- raised by every step
  river_job_id        bigint,                    -- the queue's row for this fence; no key: River prunes its own
  lease_expires_at    timestamptz,
  worker              text NOT NULL DEFAULT '',  -- who claimed it last
  attempts            int NOT NULL DEFAULT 0,

  processed_bytes     bigint NOT NULL DEFAULT 0,
  rows_accepted       bigint NOT NULL DEFAULT 0,
  rows_rejected       bigint NOT NULL DEFAULT 0,

  error_code          text,
  error_message       text,
  can_retry           boolean NOT NULL DEFAULT false,

  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at          timestamptz,
  completed_at        timestamptz,

  -- What each state promises to its readers.
  CONSTRAINT jobs_leased CHECK ((state = 'IN_PROGRESS') = (lease_expires_at IS NOT NULL)),
  CONSTRAINT jobs_staged CHECK ((state = 'IN_PROGRESS') = (stage IS NOT NULL)),
  CONSTRAINT jobs_received CHECK (state IN ('OPEN', 'ABORTED') OR (size_bytes IS NOT NULL AND crc64 IS NOT NULL AND reference_date IS NOT NULL)),
  CONSTRAINT jobs_ended CHECK ((state IN ('JOB_COMPLETE', 'FAILED', 'ABORTED')) = (completed_at IS NOT NULL)),
  CONSTRAINT jobs_explained CHECK ((state IN ('FAILED', 'ABORTED')) = (error_code IS NOT NULL) AND (error_code IS NULL) = (error_message IS NULL))
) WITH (fillfactor = 80);

-- A tenant's jobs, newest first, page by page; and what lets the foreign key of
-- results hold the tenant too.
CREATE UNIQUE INDEX jobs_by_tenant ON jobs (tenant, id);

-- Recovery looks every few seconds for expired leases and lost queue rows: it
-- must not read the finished jobs. It holds ids, not lease_expires_at, or each
-- heartbeat would write to it.
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS');

-- What a finished job came to: JOB_COMPLETE, or FAILED with rejects to download.
CREATE TABLE results (
  job_id                 text COLLATE "C" PRIMARY KEY,
  tenant                 text NOT NULL,
  fence                  bigint NOT NULL, -- of the lease under which its offers were written
  engine                 text NOT NULL,   -- of the formulas
  model_version          text NOT NULL,   -- the tenant's own label
  config_used            text NOT NULL,   -- JSON, every key
  config_sha256          bytea NOT NULL CHECK (octet_length(config_sha256) = 32),
  as_of                  date,            -- NULL: no row counted
  currency_exponent      smallint NOT NULL CHECK (currency_exponent BETWEEN 0 AND 6),
  group_by               text[] NOT NULL,
  transactions_processed bigint NOT NULL,
  rows_rejected          bigint NOT NULL,
  future_rows            bigint NOT NULL,
  aggregates_created     bigint NOT NULL,
  offers_generated       bigint NOT NULL, -- approved
  declined               bigint NOT NULL,
  skipped                bigint NOT NULL,
  duration_ms            bigint NOT NULL,
  -- Objects: Parquet and CSV. An empty key means none.
  aggregates_key         text NOT NULL,
  aggregates_etag        text NOT NULL,
  aggregates_size_bytes  bigint NOT NULL,
  aggregates_crc64       bigint NOT NULL,
  rejects_key            text NOT NULL,
  rejects_etag           text NOT NULL,
  rejects_size_bytes     bigint NOT NULL,
  rejects_crc64          bigint NOT NULL,
  FOREIGN KEY (tenant, job_id) REFERENCES jobs (tenant, id) ON DELETE CASCADE
);

-- The upload ledger: one row per upload, from before its creation is answered.
-- No key to jobs: the partial uploads of a concatenation have none, and a ledger
-- outlives its deleted job until its objects are swept.
CREATE TABLE uploads (
  id           text COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- its job's id
  tenant       text NOT NULL CHECK (tenant <> ''),
  size_bytes   bigint,                       -- NULL while the length is deferred
  offset_bytes bigint NOT NULL DEFAULT 0,    -- acknowledged; moves with the contiguous prefix of parts only
  epoch        bigint NOT NULL DEFAULT 0,    -- raised by each writer; every commit checks it
  state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'gone')),
  crc64        bigint NOT NULL DEFAULT 0,    -- CRC-64/NVME of the first offset_bytes; the bits of an unsigned number
  metadata     jsonb NOT NULL DEFAULT '{}',  -- Upload-Metadata, echoed by HEAD
  expires_at   timestamptz NOT NULL,         -- moves with each PATCH
  sweep_at     timestamptz,                  -- when to delete the objects that no part names; NULL until the upload has ended, and once it is done
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT uploads_offset CHECK (offset_bytes >= 0 AND (size_bytes IS NULL OR offset_bytes <= size_bytes)),
  CONSTRAINT uploads_complete CHECK (state <> 'complete' OR offset_bytes IS NOT DISTINCT FROM size_bytes)
);

-- Expiry looks for open uploads past their time, oldest first; finished ones,
-- the great majority, are not in it.
CREATE INDEX uploads_expiring ON uploads (expires_at) WHERE state = 'open';

-- Sweeping looks for ended uploads whose grace time is over, each once.
CREATE INDEX uploads_sweeping ON uploads (sweep_at) WHERE sweep_at IS NOT NULL;

-- The manifest: the acknowledged parts of an upload. A part belongs to its
-- upload's tenant.
CREATE TABLE parts (
  upload_id   text COLLATE "C" NOT NULL REFERENCES uploads ON DELETE CASCADE,
  start_bytes bigint NOT NULL CHECK (start_bytes >= 0),
  size_bytes  bigint NOT NULL CHECK (size_bytes > 0),
  object_key  text NOT NULL CHECK (object_key <> ''),
  etag        text NOT NULL,
  crc64       bigint NOT NULL, -- CRC-64/NVME of the part; the bits of an unsigned number
  PRIMARY KEY (upload_id, start_bytes) -- also reads the manifest in order
);

-- The decisions of complete jobs. '' and infinity stand for "the grouping has
-- none", so that the key has no NULLs. No foreign key: COPY would check it for
-- each row; who deletes a job deletes its offers.
CREATE TABLE offers (
  tenant            text NOT NULL,
  job_id            text COLLATE "C" NOT NULL,
  fence             bigint NOT NULL, -- of the lease that wrote it: an attempt never waits for the keys of one that was stopped
  account_id        text COLLATE "C" NOT NULL,
  date              date NOT NULL,
  as_of             date NOT NULL,
  amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
  transaction_count bigint NOT NULL,
  credit_score      int NOT NULL,
  months            int NOT NULL,
  composite_ppm     int NOT NULL,
  volume_ppm        int NOT NULL,
  ratio_ppm         int NOT NULL,
  consistency_ppm   int NOT NULL,
  approved          boolean NOT NULL,
  risk_level        text NOT NULL CHECK (risk_level IN ('LOW', 'MEDIUM', 'HIGH')),
  reason_codes      text[] NOT NULL,
  -- Pages in the order of the API, and finds one account. Rows arrive in this
  -- order, so COPY only ever appends to it. Decision and risk level are filters
  -- on the way: an index of their own would cost each COPY more than it saves.
  PRIMARY KEY (job_id, fence, account_id, date)
);

-- +goose Down
DROP TABLE offers, parts, uploads, results, jobs;
