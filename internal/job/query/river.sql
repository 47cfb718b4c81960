-- The columns of River's job table that our queries read, for sqlc alone: the
-- table itself comes from River's migrations.
CREATE TABLE river_job (id bigint PRIMARY KEY, state text NOT NULL, attempted_at timestamptz, priority smallint NOT NULL);
