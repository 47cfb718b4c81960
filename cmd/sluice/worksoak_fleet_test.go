package main_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/migrations"
)

// fleetLease is short, so that a lost worker is found soon.
const fleetLease = 2 * time.Second

// fleet is a gateway and workers, each a process of its own. The workers reach
// S3 through a door that can be slow or closed.
type fleet struct {
	testing.TB

	env     []string // of the workers
	gateway *server
	workers []*exec.Cmd
	gone    []chan struct{}   // closed when that process has ended
	pg      *devtest.Postgres // nil where the server is shared, and not to be killed
	pool    *pgxpool.Pool     // the oracle's
	s3      blob.Config       // not through the door
	bucket  *blob.Bucket
	door    *door
	binary  string
	spill   string        // where the workers' temporary files go
	cage    *devtest.Cage // of the workers; nil: they may take what memory there is
	said    *os.File      // the workers' log
}

// newFleet starts a fleet of two workers on a Postgres that other tests use too.
func newFleet(t testing.TB, env ...string) *fleet {
	t.Helper()
	f := &fleet{TB: t}
	f.start(devtest.DSN(t), env)
	f.work(0)
	f.work(1)
	return f
}

// newMortalFleet is newFleet with a Postgres of its own, which may be killed.
func newMortalFleet(t testing.TB, env ...string) *fleet {
	t.Helper()
	f := &fleet{TB: t, pg: devtest.OwnPostgres(t)}
	dsn := f.pg.Database("sluice")
	f.must(migrations.Up(t.Context(), dsn, slog.New(slog.DiscardHandler)))
	f.start(dsn, env)
	f.work(0)
	f.work(1)
	return f
}

// start starts all but the workers.
func (f *fleet) start(dsn string, more []string) {
	f.Helper()
	f.binary = cmp.Or(os.Getenv("SLUICE_SOAK_BINARY"), f.binary)
	if f.binary == "" {
		f.binary = binary(f)
	}
	s3, temp := devtest.S3Config(f), f.TempDir()
	f.s3, f.spill = s3, f.TempDir()
	f.connect(dsn)
	var err error
	f.bucket, err = blob.New(f.Context(), s3)
	f.must(err)
	f.door = newDoor(f, s3.Endpoint)
	env := append([]string{
		"SLUICE_DATABASE_URL=" + dsn, "SLUICE_S3_BUCKET=" + s3.Bucket, "SLUICE_S3_REGION=" + s3.Region,
		"SLUICE_S3_ACCESS_KEY_ID=" + s3.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + s3.SecretAccessKey.Reveal(),
		"SLUICE_LEASE_EXPIRY=" + fleetLease.String(), "SLUICE_SWEEP_GRACE=1s", "SLUICE_LOG_FORMAT=json", "HOME=" + temp,
	}, more...)
	f.env = append(slices.Clip(env), "SLUICE_S3_ENDPOINT="+f.door.url, "SLUICE_TEMP_DIR="+f.spill)
	f.said, err = os.CreateTemp(temp, "workers")
	f.must(err)
	f.gateway = f.serve(append(slices.Clip(env), "SLUICE_S3_ENDPOINT="+s3.Endpoint))
	f.Cleanup(func() {
		for i := range f.workers {
			f.end(i)
		}
		if f.Failed() {
			f.tellLog()
		}
	})
}

// oracle is how the sessions that look on are told from those of the product.
const oracle = "oracle"

func (f *fleet) connect(dsn string) {
	f.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	f.must(err)
	cfg.ConnConfig.RuntimeParams["application_name"] = oracle
	f.pool, err = pgxpool.NewWithConfig(f.Context(), cfg)
	f.must(err)
	f.Cleanup(f.pool.Close)
}

// serve starts the gateway alone.
func (f *fleet) serve(env []string) *server {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), f.binary, "serve", "--http-addr=127.0.0.1:0")
	cmd.Env = env
	s := launch(f, cmd)
	f.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return s
}

// work starts worker i, or starts it again.
func (f *fleet) work(i int) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), f.binary, "work")
	if f.cage != nil {
		cmd = f.cage.Command(f.Context(), f.binary, "work")
	}
	cmd.Env, cmd.Stderr = f.env, f.said
	f.must(cmd.Start())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // "signal: killed", as asked, or what its log tells
	}()
	if i == len(f.workers) {
		f.workers, f.gone = append(f.workers, nil), append(f.gone, nil)
	}
	f.workers[i], f.gone[i] = cmd, gone
}

// end ends worker i as a power cut does.
func (f *fleet) end(i int) {
	_ = f.workers[i].Process.Kill() // it may have ended by itself
	<-f.gone[i]
}

// disband ends all workers, for good.
func (f *fleet) disband() {
	f.Helper()
	for i := range f.workers {
		f.end(i)
	}
	f.workers, f.gone = nil, nil
}

// kill ends worker i as a power cut does, and starts another in its place.
func (f *fleet) kill(i int) {
	f.Helper()
	f.end(i)
	f.work(i)
}

// revive starts workers again that ended by themselves, as their supervisor
// does: one that cannot reach Postgres at its start gives up.
func (f *fleet) revive() {
	f.Helper()
	for i := range f.workers {
		select {
		case <-f.gone[i]:
			f.work(i)
		default:
		}
	}
}

// endPostgres kills the server, and starts it again after that time.
func (f *fleet) endPostgres(away time.Duration) {
	f.Helper()
	f.pg.Kill()
	<-time.After(away) // the fault itself
	f.pg.Start()
	f.pool.Reset()
}

func (f *fleet) signal(i int, s syscall.Signal) {
	f.Helper()
	f.must(f.workers[i].Process.Signal(s))
}

func (f *fleet) tellLog() {
	said, err := os.ReadFile(f.said.Name())
	if err == nil {
		f.Logf("the workers' last lines:\n%s", said[max(0, len(said)-8000):])
	}
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// send uploads a file and returns its job's id.
func (f *fleet) send(s sample) string {
	f.Helper()
	body, err := os.Open(s.path)
	f.must(err)
	defer body.Close()
	return f.sendFrom(body, s.size)
}

// sendFrom uploads what body has, so many bytes, and returns its job's id.
func (f *fleet) sendFrom(body io.Reader, size int64) string {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodPost, f.gateway.url+"/files/", io.NopCloser(body))
	f.must(err)
	req.ContentLength = size
	req.Header = http.Header{
		"Tus-Resumable": {"1.0.0"}, "Upload-Length": {fmt.Sprint(size)}, "Content-Type": {"application/offset+octet-stream"},
	}
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != fmt.Sprint(size) {
		f.Fatalf("upload: %s at offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
	}
	location := resp.Header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:]
}

// settled waits until the gateway has all it needs again.
func (f *fleet) settled() {
	f.Helper()
	eventually(f, "the gateway to be ready", func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.gateway.url+"/readyz", http.NoBody)
		f.must(err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}
