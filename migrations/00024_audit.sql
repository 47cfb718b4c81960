-- Who did what to which job and key.
-- +goose Up
-- Entries are added, and nothing else: each in the transaction that does what it
-- tells of. There is no key to anything, for an entry outlives its subject.
CREATE TABLE audit (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  tenant     text COLLATE "C" NOT NULL, -- whose it is; '' for what is of all tenants
  actor      text COLLATE "C" NOT NULL CHECK (actor <> '' AND octet_length(actor) <= 300),
  action     text COLLATE "C" NOT NULL CHECK (action ~ '^[a-z]+[.][a-z]+$'),
  subject    text COLLATE "C" NOT NULL CHECK (octet_length(subject) <= 300), -- the id of what it was done to
  detail     text COLLATE "C" NOT NULL CHECK (octet_length(detail) <= 300),  -- in words of ours
  request_id text COLLATE "C" NOT NULL, -- the answer's X-Request-Id; one for each command
  client     text COLLATE "C" NOT NULL  -- the address that asked; '' for none
);

-- A tenant's log, newest first.
CREATE INDEX audit_by_tenant ON audit (tenant, id);
-- All that was ever done to one job or key.
CREATE INDEX audit_by_subject ON audit (subject, id);

-- +goose StatementBegin
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

-- For the table's owner and superusers, whom no privilege stops. ALWAYS: a session
-- that says it is replicating fires it too.
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_is_append_only;
REVOKE ALL ON audit FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON audit FROM CURRENT_USER;

-- +goose Down
DROP TABLE audit;
DROP FUNCTION audit_is_append_only;
