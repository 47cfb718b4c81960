package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	devstackPkg = "sluice/internal/devstack"
	devtestPkg  = "sluice/internal/devstack/devtest"
	jobDBPkg    = "sluice/internal/job/db"
	uploadDBPkg = "sluice/internal/upload/db"
	dropDBPkg   = "sluice/internal/drop/db"
	keyDBPkg    = "sluice/internal/idempotency/db"
	endedDBPkg  = "sluice/internal/session/db"
	accessDBPkg = "sluice/internal/access/db"
	auditDBPkg  = "sluice/internal/audit/db"
	eraseDBPkg  = "sluice/internal/erasure/db"
	echoPkg     = "github.com/labstack/echo/v4"
	tusPkg      = "github.com/tus/tusd/v2/pkg/handler"
	s3Pkg       = "github.com/aws/aws-sdk-go-v2/service/s3"
	riverPkg    = "github.com/riverqueue/river"
	pgxPkg      = "github.com/jackc/pgx/v5"
	sqlPkg      = "database/sql"
)

// forbidden says, for each room of ARCHITECTURE.md, which imports the linter
// must refuse in its code, beside every room that stands higher.
var forbidden = map[string][]string{
	"internal/money":       {"sluice/internal/rollup", "sluice/parser"},
	"internal/span":        {"sluice/internal/money", "sluice/internal/job", devtestPkg},
	"internal/share":       {"sluice/internal/money", "sluice/internal/scope", devtestPkg},
	"internal/scope":       {"sluice/internal/money", "sluice/internal/job", devtestPkg},
	"internal/renewal":     {"sluice/internal/money", "sluice/internal/job", devtestPkg},
	"internal/secret":      {"sluice/internal/money", "sluice/internal/job", devtestPkg},
	"parser":               {"sluice/internal/money", "sluice/internal/rollup", pgxPkg, "golang.org/x/text/encoding"},
	"internal/rollup":      {"sluice/parser", "sluice/internal/credit", devtestPkg},
	"internal/credit":      {"sluice/internal/rollup", "sluice/parser", devtestPkg},
	"internal/aggregate":   {"sluice/internal/blob", "sluice/internal/rollup", devtestPkg},
	"internal/blob":        {"sluice/internal/aggregate", "sluice/migrations", devtestPkg},
	"internal/issuer":      {"sluice/internal/blob", "sluice/internal/money", devtestPkg},
	"internal/webhook":     {"sluice/internal/blob", "sluice/internal/money", devtestPkg},
	"migrations":           {"sluice/internal/blob", "sluice/internal/money", devtestPkg},
	"internal/job":         {"sluice/internal/blob", "sluice/internal/upload", "sluice/internal/pipeline", "sluice/parser", s3Pkg, echoPkg, tusPkg, devtestPkg},
	"internal/job/db":      {"sluice/internal/blob", s3Pkg},
	"internal/upload":      {"sluice/internal/pipeline", "sluice/internal/devstack", jobDBPkg, echoPkg, devtestPkg},
	"internal/transaction": {"sluice/internal/money", "sluice/parser", devtestPkg},
	"internal/idempotency": {"sluice/internal/job", "sluice/internal/upload", echoPkg, devtestPkg},
	"internal/access":      {"sluice/internal/job", "sluice/internal/session", echoPkg, devtestPkg},
	"internal/audit":       {"sluice/internal/job", "sluice/internal/access", echoPkg, devtestPkg},
	"internal/erasure":     {"sluice/internal/drop", "sluice/internal/pipeline", echoPkg, devtestPkg},
	"internal/session":     {"sluice/internal/job", "sluice/internal/upload", echoPkg, devtestPkg},
	"internal/drop":        {"sluice/internal/pipeline", "sluice/internal/upload", jobDBPkg, echoPkg, tusPkg, devtestPkg},
	"internal/pipeline":    {"sluice/internal/job", "sluice/internal/upload", riverPkg, pgxPkg, sqlPkg, "net/http", devtestPkg},
	"internal/devstack":    {"sluice/internal/job", "sluice/internal/upload", "sluice/internal/pipeline"},
	"internal/doctor":      {"sluice/internal/job", "sluice/internal/upload", devtestPkg},
	"internal/client":      {"sluice/internal/job", "sluice/internal/upload", "sluice/internal/money"},
	"gateway":              {"sluice/worker", "sluice/parser", "sluice/internal/rollup", "sluice/internal/client", jobDBPkg, uploadDBPkg, dropDBPkg, keyDBPkg, endedDBPkg, accessDBPkg, auditDBPkg, eraseDBPkg, pgxPkg, sqlPkg, riverPkg, devstackPkg, devtestPkg},
	"worker":               {"sluice/gateway", "sluice/internal/client", jobDBPkg, uploadDBPkg, dropDBPkg, keyDBPkg, endedDBPkg, accessDBPkg, auditDBPkg, eraseDBPkg, echoPkg, tusPkg, devstackPkg, devtestPkg},
	"cmd/sluice":           {devstackPkg, devtestPkg, jobDBPkg},
	"cmd/sluicedev":        {"sluice/gateway", "sluice/worker", "sluice/internal/job", "sluice/internal/upload", "sluice/internal/pipeline"},
}

// floor2 and floor3 are forbidden below them.
var floor2, floor3 = []string{"sluice/gateway", "sluice/worker"}, []string{"sluice/cmd/sluice", "sluice/cmd/sluicedev"}

// TestFloors proves that the linter's rules bite: it lints a copy of the module
// in which every room breaks each rule that it has.
func TestFloors(t *testing.T) {
	t.Parallel()
	linter, err := filepath.Abs("../../.bin/golangci-lint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(linter); err != nil {
		t.Skip("the linter is not there: `make check` installs it and runs this test")
	}
	dir, wanted := brokenModule(t)
	got, rules := complaints(t, linter, dir)
	for file, what := range wanted {
		if !got[file] {
			t.Errorf("the linter lets %s", what)
		}
	}
	for _, rule := range configuredRules(t) {
		if !rules[rule] {
			t.Errorf("no import here is refused by the rule %q", rule)
		}
	}
}

// brokenModule writes a module with each room as an empty package, and for each
// forbidden import a package at the room's path, below a folder of its own so
// that no two imports make a cycle. It returns what must be refused, by file.
func brokenModule(t *testing.T) (dir string, wanted map[string]string) {
	t.Helper()
	dir, wanted = t.TempDir(), map[string]string{}
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", ".golangci.yml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, string(text))
	}
	write("internal/devstack/devtest/room.go", "package room\n")
	for room, imports := range forbidden {
		write(room+"/room.go", "package room\n")
		if room != "gateway" && room != "worker" && !strings.HasPrefix(room, "cmd/") {
			imports = append(imports, floor2...)
		}
		if !strings.HasPrefix(room, "cmd/") {
			imports = append(imports, floor3...)
		}
		for i, imported := range imports {
			// The file is not a test: what only tests may import is refused too.
			file := fmt.Sprintf("broken%d/%s/room.go", i, room)
			write(file, fmt.Sprintf("package room\n\nimport _ %q\n", imported))
			wanted[file] = fmt.Sprintf("%s import %s", room, imported)
		}
	}
	write("broken0/parser/room_test.go", "package room\n\nimport _ \"sluice/internal/money\"\n")
	wanted["broken0/parser/room_test.go"] = "a test of parser import sluice/internal/money"
	return dir, wanted
}

// complaints runs depguard alone and returns the files and the rules it names.
func complaints(t *testing.T, linter, dir string) (files, rules map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), linter, "run", "--allow-parallel-runners", "--enable-only=depguard", "--output.json.path=stdout", "--show-stats=false", "./...")
	cmd.Dir = dir
	// Its cache must not be the developer's: this module has the same name.
	cmd.Env = append(os.Environ(), "GOLANGCI_LINT_CACHE="+t.TempDir(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("the linter is content")
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("read report: %v\n%s", err, out)
	}
	files, rules = map[string]bool{}, map[string]bool{}
	list := regexp.MustCompile(`from list '([^']+)'`)
	for _, issue := range report.Issues {
		if issue.FromLinter != "depguard" {
			t.Errorf("%s: %s", issue.Pos.Filename, issue.Text)
			continue
		}
		files[issue.Pos.Filename] = true
		rules[list.FindStringSubmatch(issue.Text)[1]] = true
	}
	return files, rules
}

// configuredRules are the names under depguard's rules in .golangci.yml.
func configuredRules(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^        ([a-z0-9-]+):$`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, match[1])
	}
	if len(names) == 0 {
		t.Fatal("no rules found")
	}
	return names
}
