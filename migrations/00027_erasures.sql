-- The end of all that a tenant has.
-- +goose Up

-- From its row on nothing new of its tenant is taken, for ever: so whatever dies, comes
-- late or is tried again brings nothing back, and the receipt stays true. It has no
-- more of the tenant than the name.
CREATE TABLE erasures (
  tenant      text COLLATE "C" PRIMARY KEY CHECK (tenant <> ''),
  id          text COLLATE "C" NOT NULL UNIQUE CHECK (id <> ''),  -- erasure_ and a UUIDv7
  keyed       boolean NOT NULL,                                   -- the tenant had keys, so keys are asked for ever after
  begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at      timestamptz NOT NULL DEFAULT clock_timestamp(),     -- when a worker is to go on; who works on it moves that on
  closed_by   xid8,                                               -- a transaction that began behind this row's
  found       jsonb,                                              -- what there was, before the first of it was deleted
  finished_at timestamptz,
  receipt     text,
  CONSTRAINT erasures_finished CHECK ((finished_at IS NULL) = (receipt IS NULL))
);

-- What workers look for.
CREATE INDEX erasures_due ON erasures (due_at) WHERE finished_at IS NULL;

ALTER TABLE erasures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasures TO sluice_tenant, sluice_worker USING (tenant = (SELECT current_setting('sluice.tenant', true)));
CREATE POLICY system ON erasures TO sluice_system USING (true);

-- The eraser sees what its tenant sees.
-- +goose StatementBegin
DO $$
DECLARE
  held regclass;
BEGIN
  FOR held IN SELECT polrelid FROM pg_policy WHERE polname = 'tenant' AND polrelid <> 'river_job'::regclass LOOP
    EXECUTE format('ALTER POLICY tenant ON %s TO sluice_tenant, sluice_worker, sluice_eraser', held);
  END LOOP;
END $$;
-- +goose StatementEnd

-- refuse_erased sees the erasures of whoever adds the row: its tenant's. It has a transaction get its number before it
-- looks. So who found none is older than closed_by, and once all that are older have ended there is nothing to come.
-- +goose StatementBegin
CREATE FUNCTION refuse_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_current_xact_id();
  IF EXISTS (SELECT FROM public.erasures WHERE tenant = NEW.tenant) THEN
    RAISE EXCEPTION USING ERRCODE = 'SL002', MESSAGE = 'the tenant is erased: nothing new of it is taken';
  END IF;
  RETURN NEW;
END $$;

-- Tables in which something of a tenant begins. Rows of the others hang on one of these.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['jobs', 'uploads', 'webhooks', 'watches', 'drops', 'upload_tokens', 'idempotency_keys', 'tenant_limits',
    'access_keys', 'access_sessions', 'ended_sessions'] LOOP
    EXECUTE format('CREATE TRIGGER refuse_erased BEFORE INSERT ON %I FOR EACH ROW EXECUTE FUNCTION refuse_erased()', name);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Of an erased tenant's entries in the audit log go the address that asked and the name that an issuer gave: who, what
-- and when stay. Whatever an UPDATE says, this is all that it does, and only the eraser's does anything.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND current_user = 'sluice_eraser' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_forgets_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM public.erasures WHERE tenant = OLD.tenant) THEN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END IF;
  OLD.client := '';
  IF OLD.actor LIKE 'jwt:%' THEN
    OLD.actor := 'jwt:erased';
  END IF;
  RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_forgets_persons BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_forgets_persons();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_forgets_persons;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
DROP FUNCTION audit_forgets_persons, refuse_erased CASCADE;
DROP TABLE erasures;
-- +goose StatementBegin
DO $$
DECLARE
  held regclass;
BEGIN
  FOR held IN SELECT polrelid FROM pg_policy WHERE polname = 'tenant' AND polrelid <> 'river_job'::regclass LOOP
    EXECUTE format('ALTER POLICY tenant ON %s TO sluice_tenant, sluice_worker', held);
  END LOOP;
END $$;
-- +goose StatementEnd
