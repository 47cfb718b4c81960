-- The roles in which Sluice's transactions run. They are the cluster's, and nobody
-- logs in as one. Who applies this needs CREATEROLE where they are missing; who may
-- not create roles has an administrator apply it, and
--   GRANT sluice_tenant, sluice_worker, sluice_system, sluice_queue, sluice_eraser TO the login role.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['sluice_tenant', 'sluice_worker', 'sluice_system', 'sluice_queue', 'sluice_eraser'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
  END LOOP;
EXCEPTION WHEN duplicate_object OR unique_violation THEN -- another database of the cluster is migrated at this moment
END $$;
