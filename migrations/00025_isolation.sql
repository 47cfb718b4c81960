-- Who sees which rows, whatever a query says. The roles are of grants/roles.sql,
-- which is applied before this file; what each may do is in its file beside it.

-- +goose Up

-- COPY does not write to a table with row-level security. So the rows of offers are
-- in a partition without, which the workers' role writes to and nobody reads: readers
-- come by the table above it.
ALTER INDEX offers_pkey RENAME TO offers_rows_pkey;
ALTER TABLE offers RENAME TO offers_rows;
CREATE TABLE offers (LIKE offers_rows, PRIMARY KEY (job_id, fence, account_id, date)) PARTITION BY LIST (job_id);
ALTER TABLE offers ATTACH PARTITION offers_rows DEFAULT;

-- The setting is read once a statement, and is empty where nobody made it: no tenant
-- is named so. What a table's owner asks for is decided in the same way.
-- +goose StatementBegin
DO $$
DECLARE
  name text;
  rule text;
BEGIN
  FOR name, rule IN
    SELECT t, 'tenant = (SELECT current_setting(''sluice.tenant'', true))' FROM unnest(ARRAY[
      'jobs', 'results', 'offers', 'uploads', 'strays', 'webhooks', 'deliveries', 'delivery_attempts', 'upload_tokens', 'token_uploads',
      'watches', 'drops', 'idempotency_keys', 'tenant_limits', 'batched', 'batches', 'ended_sessions', 'access_keys', 'access_sessions', 'audit']) AS t
    UNION ALL VALUES
      ('steps', 'EXISTS (SELECT FROM jobs WHERE jobs.id = job_id)'),
      ('parts', 'EXISTS (SELECT FROM uploads WHERE uploads.id = upload_id)'),
      ('concats', 'EXISTS (SELECT FROM uploads WHERE uploads.id = final_id) AND EXISTS (SELECT FROM uploads WHERE uploads.id = partial_id)')
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant ON %I TO sluice_tenant, sluice_worker USING (%s)', name, rule);
    EXECUTE format('CREATE POLICY system ON %I TO sluice_system USING (true)', name);
  END LOOP;
END $$;
-- +goose StatementEnd

-- A River job is its job's, or its webhook's, tenant's. River's own migrations are its
-- owner's, who is not held by this.
ALTER TABLE river_job ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON river_job TO sluice_tenant, sluice_worker USING (CASE kind
  WHEN 'ingest' THEN EXISTS (SELECT FROM jobs WHERE jobs.id = args ->> 'job_id')
  WHEN 'deliver' THEN EXISTS (SELECT FROM webhooks WHERE webhooks.id = args ->> 'webhook_id')
END);
CREATE POLICY system ON river_job TO sluice_system, sluice_queue USING (true);

-- +goose Down

DROP POLICY tenant ON river_job;
DROP POLICY system ON river_job;
ALTER TABLE river_job DISABLE ROW LEVEL SECURITY;

-- +goose StatementBegin
DO $$
DECLARE
  held regclass;
BEGIN
  FOR held IN SELECT polrelid FROM pg_policy WHERE polname = 'system' LOOP
    EXECUTE format('DROP POLICY tenant ON %s', held);
    EXECUTE format('DROP POLICY system ON %s', held);
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', held);
  END LOOP;
END $$;
-- +goose StatementEnd

ALTER TABLE offers DETACH PARTITION offers_rows;
DROP TABLE offers;
ALTER TABLE offers_rows RENAME TO offers;
ALTER INDEX offers_rows_pkey RENAME TO offers_pkey;
