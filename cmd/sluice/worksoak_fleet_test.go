package main_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

// fleetLease is short, so that a lost worker is found soon.
const fleetLease = 2 * time.Second

// fleet is a gateway and two workers, each a process of its own. The workers
// reach S3 through a door that can be slow or closed.
type fleet struct {
	testing.TB

	env     []string // of the workers
	gateway *server
	workers [2]*exec.Cmd
	gone    [2]chan struct{} // closed when that process has ended
	conn    *pgx.Conn
	bucket  *blob.Bucket
	door    *door
	binary  string
	size    int      // workers that are to run
	said    *os.File // the workers' log
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{TB: t, size: 2, binary: os.Getenv("SLUICE_SOAK_BINARY")}
	if f.binary == "" {
		f.binary = binary(t)
	}
	s3, dsn := devtest.S3Config(t), devtest.DSN(t)
	var err error
	f.conn, err = pgx.Connect(t.Context(), dsn)
	f.must(err)
	t.Cleanup(func() { f.conn.Close(context.WithoutCancel(t.Context())) })
	f.bucket, err = blob.New(t.Context(), s3)
	f.must(err)
	f.door = newDoor(t, s3.Endpoint)
	env := []string{
		"SLUICE_DATABASE_URL=" + dsn, "SLUICE_S3_BUCKET=" + s3.Bucket, "SLUICE_S3_REGION=" + s3.Region,
		"SLUICE_S3_ACCESS_KEY_ID=" + s3.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + s3.SecretAccessKey,
		"SLUICE_LEASE_EXPIRY=" + fleetLease.String(), "SLUICE_SWEEP_GRACE=1s", "SLUICE_LOG_FORMAT=json",
	}
	f.env = append(slices.Clip(env), "SLUICE_S3_ENDPOINT="+f.door.url, "HOME="+t.TempDir())
	f.said, err = os.CreateTemp(t.TempDir(), "workers")
	f.must(err)
	f.gateway = f.serve(append(slices.Clip(env), "SLUICE_S3_ENDPOINT="+s3.Endpoint))
	for i := range f.workers {
		f.work(i)
	}
	t.Cleanup(func() {
		for i, w := range f.workers {
			_ = w.Process.Kill()
			<-f.gone[i]
		}
		if t.Failed() {
			f.tellLog()
		}
	})
	return f
}

// serve starts the gateway alone.
func (f *fleet) serve(env []string) *server {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), f.binary, "serve", "--http-addr=127.0.0.1:0")
	cmd.Env = env
	stderr, err := cmd.StderrPipe()
	f.must(err)
	f.must(cmd.Start())
	s := &server{cmd: cmd, tail: &tail{}}
	listening := make(chan string, 1)
	go s.tail.follow(stderr, listening)
	address, ok := <-listening
	if !ok {
		f.Fatalf("the gateway ended before it listened:\n%s", s.tail)
	}
	s.url = "http://" + address
	f.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return s
}

// work starts, or starts again, one of the workers.
func (f *fleet) work(i int) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), f.binary, "work")
	cmd.Env, cmd.Stderr = f.env, f.said
	f.must(cmd.Start())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // "signal: killed", as asked, or what its log tells
	}()
	f.workers[i], f.gone[i] = cmd, gone
}

// revive starts workers again that ended by themselves, as their supervisor
// does: one that cannot reach Postgres at its start gives up.
func (f *fleet) revive() {
	f.Helper()
	for i := range f.size {
		select {
		case <-f.gone[i]:
			f.work(i)
		default:
		}
	}
}

// kill ends a worker as a power cut does, and starts another in its place.
func (f *fleet) kill(i int) {
	f.Helper()
	_ = f.workers[i].Process.Kill() // it may have ended by itself
	<-f.gone[i]
	f.work(i)
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

// ask scans the one row of a query.
func (f *fleet) ask(to any, sql string, args ...any) {
	f.Helper()
	f.must(f.conn.QueryRow(f.Context(), sql, args...).Scan(to))
}

// send uploads a file and returns its job's id.
func (f *fleet) send(s sample) string {
	f.Helper()
	body, err := os.Open(s.path)
	f.must(err)
	defer body.Close()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodPost, f.gateway.url+"/files/", body)
	f.must(err)
	req.ContentLength = s.size
	req.Header = http.Header{
		"Tus-Resumable": {"1.0.0"}, "Upload-Length": {fmt.Sprint(s.size)}, "Content-Type": {"application/offset+octet-stream"},
	}
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != fmt.Sprint(s.size) {
		f.Fatalf("upload: %s at offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
	}
	location := resp.Header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:]
}

// ended waits for the job's end, a minute at most: what recovery may take. It
// returns the state and the error's code.
func (f *fleet) ended(id string) (state, code string) {
	f.Helper()
	eventually(f, "the end of "+id, func(ctx context.Context) bool {
		f.revive()
		f.must(f.conn.QueryRow(ctx, `SELECT state, coalesce(error_code, '') FROM jobs WHERE id = $1`, id).Scan(&state, &code))
		return state == "JOB_COMPLETE" || state == "FAILED" || state == "ABORTED"
	})
	return state, code
}

// outcome is all that a job came to: aggregates and decisions, as CSV.
func (f *fleet) outcome(id string) string {
	f.Helper()
	return f.read(id+"/aggregates/") + f.read(id+"/offers/?decision=all")
}

// read returns the CSV of a job, once it can be had: where connections to
// Postgres were ended the gateway fails once for each.
func (f *fleet) read(path string) (body string) {
	f.Helper()
	eventually(f, "an answer of the gateway", func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.gateway.url+"/api/jobs/"+path, http.NoBody)
		f.must(err)
		req.Header.Set("Accept", "text/csv")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		body = string(text)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return body
}

// checkSums compares a job's aggregates with those of its file.
func (f *fleet) checkSums(s sample, id string) {
	f.Helper()
	got := map[string]string{}
	for _, row := range table(f, []byte(f.read(id+"/aggregates/"))) {
		total := atoi(f, strings.Replace(row["total_amount"], ".", "", 1))
		got[row["account_id"]+","+row["date"]] = fmt.Sprintf("%d in %s", total, row["transaction_count"])
	}
	if diff := cmp.Diff(s.want, got); diff != "" {
		f.Fatalf("aggregates differ from the file's:\n%.2000s", diff)
	}
}

// judge looks at what is left when nothing happens any more.
func (f *fleet) judge(jobs int) {
	f.Helper()
	eventually(f, "the sweep", func(context.Context) bool {
		var left int
		f.ask(&left, `SELECT count(*) FROM strays`)
		return left == 0
	})
	for what, sql := range map[string]string{
		"jobs without an end":       `SELECT coalesce(string_agg(id, ' '), '') FROM jobs WHERE state NOT IN ('JOB_COMPLETE', 'FAILED')`,
		"jobs with two ends":        `SELECT coalesce(string_agg(job_id, ' '), '') FROM (SELECT job_id FROM steps WHERE state IN ('JOB_COMPLETE', 'FAILED', 'ABORTED') GROUP BY job_id HAVING count(*) > 1) s`,
		"offers of lost attempts":   `SELECT coalesce(string_agg(DISTINCT o.job_id, ' '), '') FROM offers o LEFT JOIN results r ON r.job_id = o.job_id AND r.fence = o.fence WHERE r.job_id IS NULL`,
		"jobs beside those sent":    fmt.Sprintf(`SELECT CASE count(*) WHEN %d THEN '' ELSE count(*)::text END FROM jobs`, jobs),
		"results of jobs not ended": `SELECT coalesce(string_agg(job_id, ' '), '') FROM results JOIN jobs ON id = job_id WHERE state = 'JOB_COMPLETE' AND results.fence >= jobs.fence`,
	} {
		var got string
		if f.ask(&got, sql); got != "" {
			f.Errorf("%s: %s", what, got)
		}
	}
	named := map[string]bool{}
	rows, err := f.conn.Query(f.Context(), `SELECT unnest(ARRAY[aggregates_key, rejects_key]) FROM results`)
	f.must(err)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	for _, key := range keys {
		named[key] = key != ""
	}
	for o, err := range f.bucket.List(f.Context(), "results/") {
		f.must(err)
		if !named[o.Key] {
			f.Errorf("orphan: %s", o.Key)
		}
		delete(named, o.Key)
	}
	for key, there := range named {
		if there {
			f.Errorf("a result names %s, which is not there", key)
		}
	}
}

// door is a way to S3 on which requests can be cut short or slowed.
type door struct {
	url  string
	cuts atomic.Int64 // requests to cut
	slow atomic.Bool
}

func newDoor(t testing.TB, endpoint string) *door {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{}
	through := httputil.NewSingleHostReverseProxy(target) // keeps the Host, which is signed
	through.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	through.ErrorLog = log.New(io.Discard, "", 0) // cuts are what it is for
	through.ModifyResponse = func(r *http.Response) error {
		if d.cuts.Add(-1) >= 0 {
			r.Body = &lameBody{ReadCloser: r.Body, left: r.ContentLength / 2, cut: true}
		} else if d.slow.Load() {
			r.Body = &lameBody{ReadCloser: r.Body}
		}
		return nil
	}
	server := httptest.NewServer(through)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// doorBytes is what a slow door lets through in a second, about.
const doorBytes = 6 << 20

// lameBody ends in the middle, or comes drop by drop.
type lameBody struct {
	io.ReadCloser

	left int64
	cut  bool
}

func (b *lameBody) Read(p []byte) (int, error) {
	if !b.cut {
		const step = 32 << 10
		<-time.After(time.Second * step / doorBytes) // the fault itself
		return b.ReadCloser.Read(p[:min(len(p), step)])
	}
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
