package main_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/devstack/fault"
	"sluice/internal/job"
	"sluice/migrations"
)

// soakWorld is a whole installation whose every process may be killed, and whose
// every line may be cut: client ─line─▶ two gateways ─s3 proxy─▶ S3, a worker,
// and Postgres.
type soakWorld struct {
	testing.TB

	path string // of the sluice binary
	env  []string
	temp string // TMPDIR and HOME of every process of ours

	pg       *devtest.Postgres
	s3       *devtest.S3
	faults   *fault.S3
	line     *fault.Line
	gateways [2]*server
	worker   *server

	// What the oracle asks, past all faults.
	pool   *pgxpool.Pool
	bucket *blob.Bucket
	jobs   *job.Store
}

// newSoakWorld starts everything, with the sluice binary at path and settings of
// its own.
func newSoakWorld(t testing.TB, path string, settings ...string) *soakWorld {
	t.Helper()
	w := &soakWorld{TB: t, path: path, temp: t.TempDir(), pg: devtest.OwnPostgres(t), s3: devtest.OwnS3(t)}
	dsn := w.pg.Database("sluice")
	w.must(migrations.Up(t.Context(), dsn, slog.New(slog.DiscardHandler)))
	w.open(dsn)
	var err error
	w.faults, err = fault.NewS3(t.Context(), w.s3.Config.Endpoint)
	w.must(err)
	t.Cleanup(func() { w.faults.Close() })
	w.env = []string{
		"SLUICE_LOG_FORMAT=json", "HOME=" + w.temp, "TMPDIR=" + w.temp, "SLUICE_DATABASE_URL=" + dsn,
		"SLUICE_S3_ENDPOINT=" + w.faults.URL, "SLUICE_S3_REGION=" + w.s3.Config.Region, "SLUICE_S3_BUCKET=" + w.s3.Config.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID=" + w.s3.Config.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + w.s3.Config.SecretAccessKey.Reveal(),
	}
	w.env = append(w.env, settings...)
	w.startGateway(0)
	w.startGateway(1)
	w.startWorker()
	w.line, err = fault.NewLine(t.Context(), w.address(0))
	w.must(err)
	t.Cleanup(w.line.Close)
	return w
}

// open opens what the oracle asks.
func (w *soakWorld) open(dsn string) {
	w.Helper()
	var err error
	w.pool, err = pgxpool.New(w.Context(), dsn)
	w.must(err)
	w.Cleanup(w.pool.Close)
	w.bucket = w.s3.Bucket()
	w.jobs, err = job.New(job.Config{Pool: w.pool})
	w.must(err)
}

func (w *soakWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *soakWorld) start(env string, args ...string) *server {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), w.path, args...)
	cmd.Env = append(slices.Clip(w.env), env)
	return launch(w, cmd)
}

func (w *soakWorld) startGateway(i int) {
	w.Helper()
	w.gateways[i] = w.start("SLUICE_HTTP_ADDR=127.0.0.1:0", "serve")
}

func (w *soakWorld) startWorker() {
	w.Helper()
	w.worker = w.start("SLUICE_OPS_ADDR=127.0.0.1:0", "work")
}

// address is where gateway i listens, as host:port.
func (w *soakWorld) address(i int) string { return strings.TrimPrefix(w.gateways[i].url, "http://") }

// signal sends gateway i a signal.
func (w *soakWorld) signal(i int, sig syscall.Signal) {
	w.Helper()
	w.must(w.gateways[i].cmd.Process.Signal(sig))
}

// exec changes the database for the oracle.
func (w *soakWorld) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.pool.Exec(w.Context(), sql, args...)
	w.must(err)
}

// lapse lets the leases of a worker that was killed run out now, which takes up
// to 30 s otherwise.
func (w *soakWorld) lapse() {
	w.Helper()
	w.exec(`UPDATE jobs SET lease_expires_at = clock_timestamp() WHERE state = 'IN_PROGRESS'`)
}

// alive fails the test where a process of ours has ended by itself.
func (w *soakWorld) alive() {
	w.Helper()
	for _, s := range []*server{w.gateways[0], w.gateways[1], w.worker} {
		if stat, err := os.ReadFile(filepath.Join("/proc", itoa(s.cmd.Process.Pid), "stat")); err != nil || strings.Contains(string(stat), ") Z ") {
			w.Fatalf("a server has ended by itself:\n%s", s.tail)
		}
	}
}

// ready waits until both gateways and the worker have all they need.
func (w *soakWorld) ready() {
	w.Helper()
	for _, s := range []*server{w.gateways[0], w.gateways[1], w.worker} {
		eventually(w, "a server to be ready", func(ctx context.Context) bool {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", http.NoBody)
			w.must(err)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
}
