-- S3 drop: which prefixes are watched, one ledger of what was found there, and
-- jobs whose file is read in place.

-- +goose Up

-- The checksum of a file that is read in place is known once it has been read.
ALTER TABLE jobs
  DROP CONSTRAINT jobs_received,
  ADD CONSTRAINT jobs_received CHECK (state IN ('OPEN', 'ABORTED') OR (size_bytes IS NOT NULL AND reference_date IS NOT NULL)),
  ADD CONSTRAINT jobs_digested CHECK (state <> 'JOB_COMPLETE' OR crc64 IS NOT NULL);

-- The oldest job of a tenant with the same content, for the status of the others.
CREATE INDEX jobs_by_content ON jobs (tenant, size_bytes, crc64, id) WHERE crc64 IS NOT NULL;

-- The keys that begin with a prefix are a range of texts in the order of their bytes.
CREATE TYPE keyrange AS RANGE (subtype = text, collation = "C");

CREATE TABLE watches (
  id                  text COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- watch_ and a UUIDv7
  tenant              text NOT NULL CHECK (tenant <> ''),
  bucket              text NOT NULL CHECK (bucket <> '' AND bucket !~ '/'),
  prefix              text COLLATE "C" NOT NULL,
  suffixes            text[] NOT NULL,  -- of the keys that are taken; none: all
  credit_model_config text NOT NULL,    -- of objects that bring none of their own
  aggregate_config    text NOT NULL,
  parse_config        text NOT NULL,
  after               text NOT NULL CHECK (after IN ('keep', 'tag', 'move', 'delete')),
  move_to             text COLLATE "C" NOT NULL,
  in_order            boolean NOT NULL, -- one file after the other, by name
  since               timestamptz,      -- what was written before is left alone; NULL: nothing is
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),

  -- The listing: where it stands, and when it goes on.
  list_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  list_until          timestamptz,                -- somebody lists, and is given up then
  list_fence          bigint NOT NULL DEFAULT 0,  -- raised by each that lists: an earlier one saves nothing
  list_key            text COLLATE "C" NOT NULL DEFAULT '', -- of the last object seen; '': it begins anew
  list_version        text NOT NULL DEFAULT '',
  list_again          boolean NOT NULL DEFAULT false, -- something came while it was under way
  list_began_at       timestamptz,
  listed_at           timestamptz,                -- when it last came to its end
  list_error          text NOT NULL DEFAULT '',   -- why it could not go on, for its operator

  CONSTRAINT watches_moved CHECK ((after = 'move') = (move_to <> '')),
  -- An object is one watch's: no two prefixes of a bucket have a key in common.
  CONSTRAINT watches_apart EXCLUDE USING gist (keyrange(bucket || '/' || prefix, bucket || '/' || prefix || chr(1114111)) WITH &&)
);

-- A tenant's watches.
CREATE INDEX watches_by_tenant ON watches (tenant, id);

-- The ledger: each version of an object that became a job. It outlives the job,
-- or the listing would find the object again, and the watch.
CREATE TABLE drops (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant      text NOT NULL,
  watch_id    text COLLATE "C" NOT NULL,
  job_id      text COLLATE "C" NOT NULL,
  bucket      text NOT NULL,
  object_key  text COLLATE "C" NOT NULL,
  version_id  text NOT NULL, -- S3's; '' or 'null' where the bucket keeps no versions, and then ETag and size tell them apart
  etag        text NOT NULL,
  size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
  modified_at timestamptz NOT NULL,
  found_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  waiting     boolean NOT NULL, -- for its turn, by name
  after       text NOT NULL CHECK (after IN ('keep', 'tag', 'move', 'delete')),
  move_to     text COLLATE "C" NOT NULL, -- the whole key
  act_at      timestamptz NOT NULL DEFAULT clock_timestamp(), -- when to do that, once the job has ended
  done        boolean NOT NULL,          -- it was done, or will not be
  outcome     text NOT NULL DEFAULT '',  -- what was done, or why not
  gone        boolean NOT NULL DEFAULT false -- we removed this version: one like it is another drop
);

-- One version of an object is one job, whoever finds it and however often.
CREATE UNIQUE INDEX drops_once ON drops (
  bucket, object_key,
  (CASE WHEN version_id IN ('', 'null') THEN '' ELSE version_id END),
  (CASE WHEN version_id IN ('', 'null') THEN etag ELSE '' END),
  (CASE WHEN version_id IN ('', 'null') THEN size_bytes ELSE 0 END)
) WHERE NOT gone;

-- A worker looks for what its job reads, and for what is to be done when it has ended.
CREATE INDEX drops_by_job ON drops (job_id);

-- The next by name; those that had their turn are not in it.
CREATE INDEX drops_waiting ON drops (watch_id, object_key, modified_at, id) WHERE waiting;

-- What is still to be done; most have nothing, or have had it.
CREATE INDEX drops_undone ON drops (act_at) WHERE NOT done;

-- +goose Down
DROP TABLE drops, watches;
DROP TYPE keyrange;
DROP INDEX jobs_by_content;
ALTER TABLE jobs
  DROP CONSTRAINT jobs_digested,
  DROP CONSTRAINT jobs_received,
  ADD CONSTRAINT jobs_received CHECK (state IN ('OPEN', 'ABORTED') OR (size_bytes IS NOT NULL AND crc64 IS NOT NULL AND reference_date IS NOT NULL));
