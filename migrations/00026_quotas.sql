-- What a tenant may store, send in a day, and have under way. Postgres itself asks,
-- when a transaction commits: no way in can leave it out, no gateway has a figure of
-- its own, and what is counted is locked for the commit alone, behind every other lock.

-- +goose Up

-- NULL: as the row of '*' has it, which is of all tenants; NULL there: no limit.
ALTER TABLE tenant_limits
  ADD COLUMN max_upload_bytes bigint CHECK (max_upload_bytes >= 0), -- of one file
  ADD COLUMN max_open_uploads bigint CHECK (max_open_uploads >= 0),
  ADD COLUMN max_jobs         bigint CHECK (max_jobs >= 0),         -- that have not ended
  ADD COLUMN max_day_bytes    bigint CHECK (max_day_bytes >= 0),    -- received, by the UTC day
  ADD COLUMN max_stored_bytes bigint CHECK (max_stored_bytes >= 0); -- of files; results are not counted

-- What a tenant has used of the last two. There is a row only while one of the last
-- four limits holds for it, so that who has none pays nothing.
CREATE TABLE tenant_usage (
  tenant       text COLLATE "C" PRIMARY KEY,
  day          date NOT NULL,
  day_bytes    bigint NOT NULL,
  stored_bytes bigint NOT NULL,
  summed_by    xid8 NOT NULL DEFAULT pg_current_xact_id() -- the transaction that began the row, with all that it stored
) WITH (fillfactor = 50);
ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_usage TO sluice_tenant, sluice_worker USING (tenant = (SELECT current_setting('sluice.tenant', true)));
CREATE POLICY system ON tenant_usage TO sluice_system USING (true);

-- What holds for all is no secret of anybody's.
CREATE POLICY everybody ON tenant_limits FOR SELECT TO sluice_tenant, sluice_worker USING (tenant = '*');

-- Counting what a tenant has open reads no row that has ended.
CREATE INDEX uploads_open ON uploads (tenant) WHERE state = 'open';
CREATE INDEX jobs_open ON jobs (tenant) WHERE state = 'OPEN';

-- refuse_over_limit ends the transaction. The code, the name of the limit and the
-- number are what internal/job reads.
-- +goose StatementBegin
CREATE FUNCTION refuse_over_limit(name text, most bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'SL001', MESSAGE = 'over a limit of the tenant', CONSTRAINT = name, DETAIL = most::text;
END $$;
-- +goose StatementEnd

-- charge_tenant counts what was received and stored, and refuses what is more than may be:
-- file is a file's length, wanted how many bytes one that begins is to bring, below 0 where
-- none begins. What gets less is never refused.
-- +goose StatementBegin
CREATE FUNCTION charge_tenant(who text, file bigint, received bigint, stored bigint, wanted bigint, new_upload boolean, new_job boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  l record;
  used tenant_usage;
  today CONSTANT date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
  SELECT coalesce(max(max_upload_bytes) FILTER (WHERE tenant = who), max(max_upload_bytes)) AS upload_bytes,
    coalesce(max(max_open_uploads) FILTER (WHERE tenant = who), max(max_open_uploads)) AS open_uploads,
    coalesce(max(max_jobs) FILTER (WHERE tenant = who), max(max_jobs)) AS jobs,
    coalesce(max(max_day_bytes) FILTER (WHERE tenant = who), max(max_day_bytes)) AS day_bytes,
    coalesce(max(max_stored_bytes) FILTER (WHERE tenant = who), max(max_stored_bytes)) AS stored_bytes
  INTO l FROM tenant_limits WHERE tenant IN (who, '*');
  IF file > l.upload_bytes THEN
    PERFORM refuse_over_limit('upload_bytes', l.upload_bytes);
  END IF;
  IF num_nonnulls(l.open_uploads, l.jobs, l.day_bytes, l.stored_bytes) = 0 THEN
    RETURN;
  END IF;
  UPDATE tenant_usage SET day = today, day_bytes = CASE WHEN day = today THEN day_bytes ELSE 0 END + received, 
    stored_bytes = stored_bytes + CASE WHEN summed_by = pg_current_xact_id() THEN 0 ELSE stored END
  WHERE tenant = who RETURNING * INTO used;
  IF NOT FOUND THEN -- the first limit is new: what was stored before is summed once, and holds what is charged now
    INSERT INTO tenant_usage AS u
    SELECT who, today, received, coalesce(sum(offset_bytes), 0) FROM uploads WHERE tenant = who AND state <> 'gone'
    ON CONFLICT (tenant) DO UPDATE SET day_bytes = u.day_bytes + received, stored_bytes = u.stored_bytes + stored
    RETURNING * INTO used;
  END IF;
  IF received > 0 AND used.day_bytes > l.day_bytes OR wanted >= 0 AND used.day_bytes >= l.day_bytes THEN
    PERFORM refuse_over_limit('day_bytes', l.day_bytes);
  END IF;
  IF received > 0 AND used.stored_bytes > l.stored_bytes OR wanted >= 0 AND used.stored_bytes + wanted > l.stored_bytes THEN
    PERFORM refuse_over_limit('stored_bytes', l.stored_bytes);
  END IF;
  -- The row of tenant_usage is locked, so nobody else counts meanwhile. A batch is part of an upload that is open already.
  IF new_upload AND l.open_uploads < (
    SELECT count(*) FROM (SELECT FROM uploads WHERE tenant = who AND state = 'open' AND NOT (once AND concat = 'partial') LIMIT l.open_uploads + 1) AS open
  ) THEN
    PERFORM refuse_over_limit('open_uploads', l.open_uploads);
  END IF;
  IF new_job AND l.jobs < (
    SELECT count(*) FROM (
      (SELECT FROM jobs WHERE tenant = who AND state = 'OPEN' LIMIT l.jobs + 1)
      UNION ALL
      (SELECT FROM jobs WHERE tenant = who AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS') LIMIT l.jobs + 1)) AS unfinished
  ) THEN
    PERFORM refuse_over_limit('jobs', l.jobs);
  END IF;
END $$;
-- +goose StatementEnd

-- Bytes of a list (final, batches) were received by what it lists. A writer that begins is refused at once where
-- nothing more may come.
-- +goose StatementBegin
CREATE FUNCTION charge_upload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM charge_tenant(NEW.tenant, NEW.size_bytes, 0, 0,
      CASE WHEN NEW.concat = 'final' THEN -1 ELSE coalesce(NEW.size_bytes, 0) END, NOT (NEW.once AND NEW.concat = 'partial'), false);
  ELSE
    PERFORM charge_tenant(NEW.tenant,
      CASE WHEN NEW.state = 'gone' THEN 0 ELSE greatest(NEW.size_bytes, NEW.offset_bytes) END,
      CASE WHEN NEW.concat IN ('', 'partial') THEN NEW.offset_bytes - OLD.offset_bytes ELSE 0 END,
      CASE WHEN NEW.state = 'gone' THEN 0 ELSE NEW.offset_bytes END - CASE WHEN OLD.state = 'gone' THEN 0 ELSE OLD.offset_bytes END,
      CASE WHEN NEW.epoch > OLD.epoch AND NEW.state = 'open' AND NEW.offset_bytes IS DISTINCT FROM NEW.size_bytes THEN 0 ELSE -1 END, false, false);
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER uploads_begun AFTER INSERT ON uploads DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION charge_upload();
CREATE CONSTRAINT TRIGGER uploads_changed AFTER UPDATE ON uploads DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.offset_bytes <> NEW.offset_bytes OR OLD.size_bytes IS DISTINCT FROM NEW.size_bytes OR OLD.state <> NEW.state OR NEW.epoch > OLD.epoch)
  EXECUTE FUNCTION charge_upload();

-- A file that is read in place, or while it is imported, has no upload: its job says what was received. An import is
-- never queued.
-- +goose StatementBegin
CREATE FUNCTION charge_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  unheld boolean := false;
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.state = 'OPEN' THEN
    unheld := NOT EXISTS (SELECT FROM uploads WHERE id = NEW.id);
    IF NOT unheld THEN
      RETURN NULL;
    END IF;
  END IF;
  PERFORM charge_tenant(NEW.tenant, CASE WHEN unheld THEN NEW.size_bytes END, CASE WHEN unheld THEN NEW.size_bytes ELSE 0 END, 0, -1, false,
    NEW.channel <> 'import' AND NOT unheld);
  RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER jobs_begun AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION charge_job();
CREATE CONSTRAINT TRIGGER jobs_queued AFTER UPDATE OF state ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state = 'UPLOAD_COMPLETE' AND OLD.state IN ('OPEN', 'FAILED', 'ABORTED'))
  EXECUTE FUNCTION charge_job();

-- +goose Down
DROP TRIGGER jobs_queued ON jobs;
DROP TRIGGER jobs_begun ON jobs;
DROP TRIGGER uploads_changed ON uploads;
DROP TRIGGER uploads_begun ON uploads;
DROP FUNCTION charge_job(), charge_upload(), charge_tenant(text, bigint, bigint, bigint, bigint, boolean, boolean), refuse_over_limit(text, bigint);
DROP INDEX jobs_open, uploads_open;
DROP TABLE tenant_usage;
DROP POLICY everybody ON tenant_limits;
ALTER TABLE tenant_limits
  DROP COLUMN max_stored_bytes, DROP COLUMN max_day_bytes, DROP COLUMN max_jobs, DROP COLUMN max_open_uploads, DROP COLUMN max_upload_bytes;
