package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// TestKilledWhileUploading: the server is killed while a file is arriving, and
// started again; the same client goes on, and the job's sums are exact.
func TestKilledWhileUploading(t *testing.T) {
	t.Parallel()
	env, file := stackEnv(t), newSample(t, 500_000)
	first := serve(t, env, "127.0.0.1:0")
	gate := newGate(t, strings.TrimPrefix(first.url, "http://"), file.size/4*3)
	var out bytes.Buffer
	cmd := command(t, []string{"SLUICE_URL=" + gate.url}, "upload", file.path)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := first.awaitBytes(t)
	first.kill(t)
	second := serve(t, env, strings.TrimPrefix(first.url, "http://"))
	gate.open()
	if code := exitCode(t, cmd); code != 0 {
		t.Fatalf("sluice upload ended with %d:\n%s", code, &out)
	}
	if got := jobID(t, out.String()); got != id {
		t.Errorf("the file ended as %s, want the upload %s that was begun", got, id)
	}
	file.check(t, second.url, id)
	second.stop(t)
}

// TestKilledWhileWorking: the server is killed while a job's offers are being
// written; another finds the job by its lease and ends it, once.
func TestKilledWhileWorking(t *testing.T) {
	t.Parallel()
	env, file := stackEnv(t), newSample(t, 10_000)
	first := serve(t, env, "127.0.0.1:0")
	unlock := lockOffers(t, env)
	id := upload(t, first.url, "--no-follow", file.path)
	eventually(t, "the job to be persisting", func(context.Context) bool {
		return first.status(t, id).Stage == "persisting"
	})
	first.kill(t)
	unlock()
	second := serve(t, env, "127.0.0.1:0")
	eventually(t, "the job to be recovered", func(context.Context) bool {
		return second.status(t, id).State == "JOB_COMPLETE"
	})
	file.check(t, second.url, id)
	second.stop(t)
}

// TestInterruptedUpload: after a Ctrl-C the same command goes on where it was.
func TestInterruptedUpload(t *testing.T) {
	t.Parallel()
	s, file, home := serve(t, stackEnv(t), "127.0.0.1:0"), newSample(t, 500_000), t.TempDir()
	gate := newGate(t, strings.TrimPrefix(s.url, "http://"), file.size/4*3)
	run := func() *exec.Cmd {
		cmd := command(t, nil, "upload", file.path)
		cmd.Env = []string{"HOME=" + home, "SLUICE_URL=" + gate.url}
		return cmd
	}
	cmd := run()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := s.awaitBytes(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, cmd); code != 3 {
		t.Errorf("interrupted upload ended with %d, want 3", code)
	}
	gate.open()
	out, err := run().Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := jobID(t, string(out)); got != id {
		t.Errorf("the second run made %s, want to go on with %s", got, id)
	}
	file.check(t, s.url, id)
	s.stop(t)
}

// status is what these tests ask of a job.
type status struct {
	ID       string `json:"job_id"`
	State    string `json:"state"`
	Stage    string `json:"stage"`
	Rows     int64  `json:"rows_accepted"`
	Progress struct {
		BytesReceived int64 `json:"bytes_received"`
	} `json:"progress"`
}

func (s *server) status(t testing.TB, id string) (st status) {
	t.Helper()
	if err := json.Unmarshal(fetch(t, s.url+"/api/jobs/"+id+"/status/", "application/json"), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// awaitBytes returns the id of the one job once some of its bytes are stored.
func (s *server) awaitBytes(t testing.TB) (id string) {
	t.Helper()
	eventually(t, "the first bytes", func(context.Context) bool {
		var list struct{ Jobs []status }
		if err := json.Unmarshal(fetch(t, s.url+"/api/jobs/", "application/json"), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Jobs) != 1 || list.Jobs[0].Progress.BytesReceived == 0 {
			return false
		}
		if list.Jobs[0].State != "OPEN" {
			t.Fatalf("the job is %s before the gate is open", list.Jobs[0].State)
		}
		id = list.Jobs[0].ID
		return true
	})
	return id
}

// lockOffers keeps workers from writing offers until unlock.
func lockOffers(t testing.TB, env []string) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), strings.TrimPrefix(env[0], "SLUICE_DATABASE_URL="))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE offers IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
		_ = conn.Close(t.Context())
	})
}

// gate is a way to a server on which bytes stop after the first few, until it
// is opened.
type gate struct {
	url    string
	left   atomic.Int64
	opened chan struct{}
}

func newGate(t testing.TB, server string, bytes int64) *gate {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{url: "http://" + listener.Addr().String(), opened: make(chan struct{})}
	g.left.Store(bytes)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go g.connect(client, server)
		}
	}()
	return g
}

func (g *gate) open() { close(g.opened) }

// connect carries one connection until either side ends it.
func (g *gate) connect(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, gated{client, g}) // a cut is what the test is about
	}()
	_, _ = io.Copy(client, server)
}

type gated struct {
	io.Reader
	gate *gate
}

func (r gated) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), 64<<10)])
	if r.gate.left.Add(-int64(n)) < 0 {
		<-r.gate.opened
	}
	return n, err
}

// sample is a made file with what its aggregates must be.
type sample struct {
	path string
	size int64
	want map[string]string // by account and date: total and count
}

// newSample has 97 accounts, each on few days, in an order that repeats.
func newSample(t testing.TB, rows int) sample {
	t.Helper()
	return makeSample(t, rows, func(i int) string { return fmt.Sprintf("A%03d,2024-%02d-%02d", i%97, i%12+1, i%28+1) })
}

// seededSample is newSample with its rows in another order for another seed.
func seededSample(t testing.TB, rows int, seed uint64) sample {
	t.Helper()
	from := int(seed % 1_000_003)
	return makeSample(t, rows, func(i int) string {
		i += from
		return fmt.Sprintf("A%03d,2024-%02d-%02d", i%97, i%12+1, i%28+1)
	})
}

// makeSample asks for the account and date of each row.
func makeSample(t testing.TB, rows int, keyOf func(i int) string) sample {
	t.Helper()
	file := []byte("account_id,date,amount\n")
	cents, counts := map[string]int64{}, map[string]int{}
	for i := range rows {
		key := keyOf(i)
		amount := int64(i*7919%100_000) - 20_000
		sign, abs := "", amount
		if amount < 0 {
			sign, abs = "-", -amount
		}
		file = fmt.Appendf(file, "%s,%s%d.%02d\n", key, sign, abs/100, abs%100)
		cents[key] += amount
		counts[key]++
	}
	s := sample{path: filepath.Join(t.TempDir(), "sample.csv"), size: int64(len(file)), want: map[string]string{}}
	for key, sum := range cents {
		s.want[key] = fmt.Sprintf("%d in %d", sum, counts[key])
	}
	if err := os.WriteFile(s.path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares a job's aggregates with those of the sample, and wants offers.
func (s sample) check(t testing.TB, url, id string) {
	t.Helper()
	if diff := cmp.Diff(s.want, sums(t, url, id)); diff != "" {
		t.Errorf("aggregates differ from the file's:\n%.2000s", diff)
	}
	if n := len(table(t, fetch(t, url+"/api/jobs/"+id+"/offers/?decision=all", "text/csv"))); n != 97 {
		t.Errorf("%d decisions, want one for each of 97 accounts", n)
	}
	var list struct{ Jobs []status }
	if err := json.Unmarshal(fetch(t, url+"/api/jobs/?state=JOB_COMPLETE", "application/json"), &list); err != nil || len(list.Jobs) != 1 {
		t.Errorf("%d complete jobs (%v), want 1", len(list.Jobs), err)
	}
}

// sums are a job's aggregates, as those of a sample are written.
func sums(t testing.TB, url, id string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, row := range table(t, fetch(t, url+"/api/jobs/"+id+"/aggregates/", "text/csv")) {
		total := atoi(t, strings.Replace(row["total_amount"], ".", "", 1))
		got[row["account_id"]+","+row["date"]] = fmt.Sprintf("%d in %s", total, row["transaction_count"])
	}
	return got
}
