package migrations_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/internal/devstack/devtest"
)

// denied is Postgres's insufficient_privilege.
const denied = "42501"

// grant is a line of a file of grants. Feature names a statement that needs it.
type grant struct{ role, privilege, object, feature string }

func (g grant) right() string { return g.role + " " + g.privilege + " " + g.object }

// TestGrants proves the files of grants minimal: what they say is all that the roles
// have; without any line its feature is refused, and with it allowed; and what no line
// gives is refused. That they are enough is what all other tests show, which run in
// these roles.
func TestGrants(t *testing.T) {
	t.Parallel()
	conn, err := devtest.Database(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "INSERT INTO tenant_limits (tenant, max_jobs) VALUES ('*', 1)"); err != nil {
		t.Fatal(err)
	}
	grants, features := readGrants(t), readFeatures(t)

	want := make(map[string]bool)
	for _, g := range grants {
		want[g.right()] = true
	}
	if diff := cmp.Diff(want, rightsOf(t, conn.Conn())); diff != "" {
		t.Errorf("rights (-files +database):\n%s", diff)
	}
	for _, g := range grants {
		f := features[g.feature]
		if f == "" {
			t.Errorf("%s: no statement is named %q", g.right(), g.feature)
			continue
		}
		if err := as(t, conn.Conn(), g.role, f); err != nil {
			t.Errorf("%s cannot %s: %v", g.role, g.feature, err)
		}
		if err := as(t, conn.Conn(), g.role, fmt.Sprintf("RESET ROLE; REVOKE %s ON %s FROM %[3]s; SET LOCAL ROLE %[3]s", g.privilege, g.object, g.role), f); !refused(err) {
			t.Errorf("without %s on %s %s still may %s: %v", g.privilege, g.object, g.role, g.feature, err)
		}
	}
	t.Logf("%d rights, each needed", len(grants))
	refuseAllElse(t, conn.Conn(), want)
}

// refuseAllElse tries everything that no line gives.
func refuseAllElse(t *testing.T, conn *pgx.Conn, given map[string]bool) {
	t.Helper()
	tried := 0
	for _, role := range []string{"sluice_tenant", "sluice_worker", "sluice_system", "sluice_queue", "sluice_eraser"} {
		for _, table := range texts(t, conn, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`) {
			column := texts(t, conn, `SELECT attname FROM pg_attribute WHERE attrelid = '`+table+`'::regclass AND attnum > 0 AND attidentity = '' AND NOT attisdropped`)[0]
			for privilege, try := range map[string]string{
				"SELECT": "SELECT FROM $table LIMIT 0", "INSERT": "EXPLAIN INSERT INTO $table DEFAULT VALUES",
				"UPDATE": "EXPLAIN UPDATE $table SET $column = $column", "DELETE": "EXPLAIN DELETE FROM $table",
				"TRUNCATE": "TRUNCATE $table", "ALTER": "ALTER TABLE $table DISABLE ROW LEVEL SECURITY", "POLICY": "CREATE POLICY mine ON $table USING (true)",
			} {
				if given[role+" "+privilege+" "+table] {
					continue
				}
				tried++
				if err := as(t, conn, role, strings.NewReplacer("$table", table, "$column", column).Replace(try)); !refused(err) {
					t.Errorf("%s may %s %s: %v", role, privilege, table, err)
				}
			}
		}
		for _, try := range []string{"CREATE TABLE mine ()", "CREATE ROLE mine", "ALTER ROLE " + role + " BYPASSRLS"} {
			if err := as(t, conn, role, try); !refused(err) {
				t.Errorf("%s may %s: %v", role, try, err)
			}
		}
	}
	t.Logf("%d rights not given, each refused", tried)
}

// as runs statements in a role, and takes back what they did.
func as(t *testing.T, conn *pgx.Conn, role string, statements ...string) error {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // what it was for is over
	if _, err := tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL ROLE "+role); err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if strings.HasPrefix(s, "COPY") {
			_, err = conn.PgConn().CopyFrom(t.Context(), strings.NewReader(""), strings.Replace(s, "binary", "text", 1))
		} else {
			_, err = conn.PgConn().Exec(t.Context(), s).ReadAll()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func refused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == denied
}

var grantLine = regexp.MustCompile(`^GRANT (\w+) ON ((?:SEQUENCE )?\w+) TO (\w+); -- ([\w.]+)$`)

// readGrants reads the files: below their heads each line is one right.
func readGrants(t *testing.T) (grants []grant) {
	t.Helper()
	for _, role := range []string{"tenant", "worker", "system", "queue", "eraser"} {
		text, err := os.ReadFile(filepath.Join("grants", role+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "GRANT") {
				continue
			}
			m := grantLine.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil || m[3] != "sluice_"+role {
				t.Fatalf("%s.sql: %q is no line of a right and its feature", role, line)
			}
			grants = append(grants, grant{m[3], m[1], m[2], m[4]})
		}
	}
	return grants
}

// rightsOf lists what the roles may do in the database.
func rightsOf(t *testing.T, conn *pgx.Conn) map[string]bool {
	t.Helper()
	rights := make(map[string]bool)
	for _, r := range texts(t, conn, `SELECT concat_ws(' ', a.grantee::regrole, a.privilege_type, CASE relkind WHEN 'S' THEN 'SEQUENCE' END, relname)
		FROM pg_class, aclexplode(relacl) AS a WHERE a.grantee <> 0 AND a.grantee::regrole::text LIKE 'sluice\_%'`) {
		rights[r] = true
	}
	return rights
}

func texts(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var constant = regexp.MustCompile("(?s)\nconst \\w+ = `-- name: (\\w+) :\\w+\n(.*?)`\n")

// readFeatures returns the statements of our packages, and of River's driver, by
// package and name, as something that Postgres refuses to who may not do them but that
// does nothing.
func readFeatures(t *testing.T) map[string]string {
	t.Helper()
	features := map[string]string{
		"job.CopyOffers":        "COPY offers_rows FROM STDIN (FORMAT binary)",
		"river.JobID":           "SELECT nextval('river_job_id_seq')",
		"job.ChargeTenant":      "SELECT set_config('sluice.tenant', 'acme', true), charge_tenant('acme', 0, 0, 0, 0, true, true)", // of triggers
		"drop.LockWatches":      "LOCK TABLE watches IN SHARE ROW EXCLUSIVE MODE",
		"migrations.CheckRiver": "SELECT version, created_at FROM river_migration", "migrations.CheckSluice": "SELECT version_id, tstamp FROM goose_db_version",
	}
	dirs, err := filepath.Glob("../internal/*/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, filepath.Join(moduleDir(t, "github.com/riverqueue/river/riverdriver/riverpgxv5"), "internal", "dbsqlc")) {
		files, err := filepath.Glob(filepath.Join(dir, "*.sql.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(dir))
		if filepath.Base(dir) == "dbsqlc" {
			name = "river"
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range constant.FindAllStringSubmatch(strings.ReplaceAll(string(text), "` + \"`\" + `", ""), -1) {
				if key := name + "." + m[1]; features[key] == "" {
					features[key] = explained(strings.ReplaceAll(m[2], "/* TEMPLATE: schema */", ""))
				}
			}
		}
	}
	return features
}

var parameter = regexp.MustCompile(`\$(\d+)`)

// explained is a statement that plans another for any parameters, and does not run it.
func explained(sql string) string {
	n := 0
	for _, m := range parameter.FindAllStringSubmatch(sql, -1) {
		var i int
		_, _ = fmt.Sscan(m[1], &i)
		n = max(n, i)
	}
	nulls := ""
	if n > 0 {
		nulls = "(" + strings.Join(slices.Repeat([]string{"NULL"}, n), ", ") + ")"
	}
	return "DEALLOCATE ALL; PREPARE feature AS " + sql + "; EXPLAIN EXECUTE feature" + nulls
}

// moduleDir is where the source of a module of go.mod is.
func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
