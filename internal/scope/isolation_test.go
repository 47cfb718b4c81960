package scope_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/devstack/devtest"
	"sluice/internal/scope"
)

// unheld are the tables without policies, and why that is so.
var unheld = map[string]string{
	"offers_rows":        "COPY writes to it; nobody may read it",
	"goose_db_version":   "holds no tenant's rows",
	"river_migration":    "holds no tenant's rows",
	"river_leader":       "holds no tenant's rows",
	"river_queue":        "holds no tenant's rows",
	"river_client":       "holds no tenant's rows",
	"river_client_queue": "holds no tenant's rows",
	"river_notification": "holds no tenant's rows",
}

// rows has a row of each table that holds tenants' rows, of the tenant $1.
var rows = []struct{ table, sql string }{
	{"jobs", `INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config) VALUES ('job_' || $1, $1, 'tus', '', 'OPEN', '', '', '')`},
	{"steps", `INSERT INTO steps SELECT 'job_' || $1::text, 1, 'OPEN', NULL, 0, 0, 0, NULL, NULL, false, now()`},
	{"results", `INSERT INTO results SELECT 'job_' || $1::text, $1, 1, '', '', '{}', sha256(''), NULL, 2, '{}', 0, 0, 0, 0, 0, 0, 0, 0, '', '', 0, 0, '', '', 0, 0`},
	{"offers", `INSERT INTO offers SELECT $1::text, 'job_' || $1, 1, 'a', now(), now(), 1, 1, 1, 1, 1, 1, 1, 1, true, 'LOW', '{}'`},
	{"strays", `INSERT INTO strays SELECT 'job_' || $1::text, $1, now()`},
	{"uploads", `INSERT INTO uploads (id, tenant, expires_at) VALUES ('up_' || $1, $1, now())`},
	{"parts", `INSERT INTO parts SELECT 'up_' || $1::text, 0, 1, 'key', 'etag', 1`},
	{"concats", `INSERT INTO concats SELECT 'up_' || $1::text, 1, 'up_' || $1`},
	{"batched", `INSERT INTO batched (upload_id, tenant, content_type, credit_model_config, aggregate_config, parse_config) VALUES ('up_' || $1, $1, 'csv', '', '', '')`},
	{"batches", `INSERT INTO batches SELECT 'up_' || $1::text, $1, 1, sha256(''), 1`},
	{"upload_tokens", `INSERT INTO upload_tokens SELECT sha256($1::text::bytea), $1, 1, 0, now()`},
	{"token_uploads", `INSERT INTO token_uploads SELECT 'up_' || $1::text, sha256($1::text::bytea), $1`},
	{"webhooks", `INSERT INTO webhooks (id, tenant, url, event_types, secret) VALUES ('wh_' || $1, $1, 'u', '{}', 's')`},
	{"deliveries", `INSERT INTO deliveries (id, tenant, webhook_id, job_id, event_type, payload, due_at) VALUES ('msg_' || $1, $1, 'wh_' || $1, 'j', 'e', '{}', now())`},
	{"delivery_attempts", `INSERT INTO delivery_attempts SELECT 'msg_' || $1::text, 1, $1, now(), 1, 200, ''`},
	{"watches", `INSERT INTO watches (id, tenant, bucket, prefix, suffixes, credit_model_config, aggregate_config, parse_config, after, move_to, in_order) VALUES ('watch_' || $1, $1, $1, '', '{}', '', '', '', 'keep', '', false)`},
	{"drops", `INSERT INTO drops (tenant, watch_id, job_id, bucket, object_key, version_id, etag, size_bytes, modified_at, waiting, after, move_to, done) VALUES ($1, 'watch_' || $1, 'job_' || $1, $1, 'k', '', 'e', 1, now(), false, 'keep', '', true)`},
	{"idempotency_keys", `INSERT INTO idempotency_keys SELECT $1::text, 'k', 'h', now()`},
	{"tenant_limits", `INSERT INTO tenant_limits (tenant) VALUES ($1)`},
	{"tenant_usage", `INSERT INTO tenant_usage (tenant, day, day_bytes, stored_bytes) VALUES ($1, now(), 0, 0)`},
	{"ended_sessions", `INSERT INTO ended_sessions SELECT 's_' || $1::text, $1, now()`},
	{"access_keys", `INSERT INTO access_keys (id, tenant, role, name, digest) VALUES ('key_' || $1, $1, 'read', '', sha256(''))`},
	{"access_sessions", `INSERT INTO access_sessions SELECT sha256($1::text::bytea), $1, 'read', NULL, '', now()`},
	{"audit", `INSERT INTO audit (tenant, actor, action, subject, detail, request_id, client) VALUES ($1, 'a', 'a.a', '', '', '', '')`},
	{"river_job", `INSERT INTO river_job (args, kind, max_attempts, state) SELECT jsonb_build_object('job_id', 'job_' || $1::text), 'ingest', 1, 'available'`},
	{"erasures", `INSERT INTO erasures (tenant, id, keyed) VALUES ($1, 'erasure_' || $1, false)`}, // the last: nothing is added behind it
}

// TestEveryTable holds every table to its policies: where a role may do everything and
// the query names no tenant, it sees, changes, deletes and adds its own tenant's rows
// alone. A table that is in neither list above fails.
func TestEveryTable(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	known := make(map[string]bool)
	for _, r := range rows {
		run(r.sql, "acme")
		run(r.sql, "globex")
		known[r.table] = true
	}
	for _, table := range column[string](t, pool, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')`) {
		if known[table] == (unheld[table] != "") {
			t.Errorf("table %s: give it policies and a row in this test, or say why it needs none", table)
		}
	}
	run(`ALTER TABLE audit DISABLE TRIGGER USER`) // which stop everybody
	run(`GRANT ALL ON ALL TABLES IN SCHEMA public TO sluice_tenant, sluice_worker, sluice_eraser`)
	run(`REVOKE ALL ON offers_rows FROM sluice_tenant, sluice_worker, sluice_eraser`)
	for _, as := range []func(string) scope.Scope{scope.Tenant, scope.Worker, scope.Eraser} {
		for _, r := range rows {
			if r.table == "river_job" && as("acme") == scope.Eraser("acme") { // which sees none: the system drops what is left
				continue
			}
			isolated(t, pool, r.table, as)
		}
	}
}

// isolated does everything to one table for acme, and for a tenant that has no rows.
func isolated(t *testing.T, pool *pgxpool.Pool, table string, as func(string) scope.Scope) {
	t.Helper()
	id := column[string](t, pool, `SELECT attname FROM pg_attribute WHERE attrelid = '`+table+`'::regclass AND attnum > 0 AND attidentity = '' AND NOT attisdropped ORDER BY attnum DESC`)[0]
	foreign := column[string](t, pool, `SELECT to_jsonb(r)::text FROM `+table+` AS r WHERE to_jsonb(r)::text LIKE '%globex%'`)[0]
	for tenant, own := range map[string]int64{"acme": 1, "nobody": 0} {
		for what, sql := range map[string]string{
			"reads":   `SELECT FROM ` + table,
			"locks":   `SELECT FROM ` + table + ` FOR UPDATE`,
			"changes": fmt.Sprintf(`UPDATE %s SET %[2]s = %[2]s`, table, id),
			"deletes": `DELETE FROM ` + table,
		} {
			undone(t, scope.Over(pool, as(tenant)), func(ctx context.Context, tx pgx.Tx) {
				tag, err := tx.Exec(ctx, sql)
				if err != nil || tag.RowsAffected() != own {
					t.Errorf("%s %s %d rows of %s, want %d: %v", tenant, what, tag.RowsAffected(), table, own, err)
				}
			})
		}
		undone(t, scope.Over(pool, as(tenant)), func(ctx context.Context, tx pgx.Tx) {
			_, err := tx.Exec(ctx, `INSERT INTO `+table+` OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::`+table+`, $1::text::jsonb)).*`, foreign)
			if !denied(err) {
				t.Errorf("%s adds a row of globex to %s: %v", tenant, table, err)
			}
		})
	}
}

// What a table's owner asks for without a scope is held too, and a login that is a
// member of the roles and inherits nothing may do nothing by itself.
func TestLoginAlone(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	for _, r := range rows {
		if _, err := pool.Exec(t.Context(), r.sql, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	undone(t, pool, func(ctx context.Context, tx pgx.Tx) {
		if _, err := tx.Exec(ctx, `CREATE ROLE sluice_test_login NOLOGIN NOINHERIT IN ROLE sluice_tenant, sluice_worker, sluice_system, sluice_queue, sluice_eraser; SET LOCAL ROLE sluice_test_login`); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if _, err := tx.Exec(ctx, `SAVEPOINT s; SELECT FROM `+r.table); !denied(err) {
				t.Errorf("a member reads %s: %v", r.table, err)
			}
			if _, err := tx.Exec(ctx, `ROLLBACK TO s`); err != nil {
				t.Fatal(err)
			}
		}
	})
	undone(t, pool, func(ctx context.Context, tx pgx.Tx) {
		if _, err := tx.Exec(ctx, `CREATE ROLE sluice_test_owner NOLOGIN`); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.table == "river_job" { // River's, whose migrations see it
				continue
			}
			if _, err := tx.Exec(ctx, `ALTER TABLE `+r.table+` OWNER TO sluice_test_owner; SET LOCAL ROLE sluice_test_owner`); err != nil {
				t.Fatal(err)
			}
			if tag, err := tx.Exec(ctx, `SELECT FROM `+r.table); err != nil || tag.RowsAffected() != 0 {
				t.Errorf("the owner reads %d rows of %s: %v", tag.RowsAffected(), r.table, err)
			}
			if _, err := tx.Exec(ctx, `RESET ROLE`); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// undone calls do in a transaction that is rolled back.
func undone(t *testing.T, db interface {
	Begin(context.Context) (pgx.Tx, error)
}, do func(context.Context, pgx.Tx),
) {
	t.Helper()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	do(t.Context(), tx)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func column[T any](t *testing.T, pool *pgxpool.Pool, sql string) []T {
	t.Helper()
	found, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
