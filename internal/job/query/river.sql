-- The columns of River's tables that our queries use, for sqlc alone: the tables
-- themselves come from River's migrations.
CREATE TABLE river_job (id bigint PRIMARY KEY, kind text NOT NULL, args jsonb NOT NULL, state text NOT NULL, attempted_at timestamptz, priority smallint NOT NULL, queue text NOT NULL);
CREATE TABLE river_queue (name text PRIMARY KEY, paused_at timestamptz, updated_at timestamptz NOT NULL);
