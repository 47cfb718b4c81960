package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload"
	"sluice/worker"
)

const tenant = "acme"

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// world is a database, a bucket, and the jobs in them. Workers reach the bucket
// through a proxy on which each request can be held up or refused.
type world struct {
	*testing.T
	pool    *pgxpool.Pool // the test's own
	work    *pgxpool.Pool // the workers'
	queue   *pgxpool.Pool // their River's
	jobs    *job.Store    // of the test's pool
	bucket  *blob.Bucket  // not through the proxy
	proxied *blob.Bucket
	s3      blob.Config // of bucket
	onS3    atomic.Pointer[func(w http.ResponseWriter, r *http.Request) (answered bool)]
}

// expiry is a lease's: long beside any stall of the machine. Who needs a loss
// makes one.
const expiry = 10 * time.Second

func newWorld(t *testing.T, edit ...func(*pgxpool.Config)) *world {
	t.Helper()
	w := &world{T: t}
	dsn := devtest.DSN(t)
	w.pool, w.work = open(t, dsn), open(t, dsn, edit...)
	w.queue = open(t, dsn, append(slices.Clip(edit), scope.QueuePool)...)
	w.jobs = w.store(w.pool)
	cfg := devtest.S3Config(t)
	w.bucket, w.s3 = bucket(t, cfg), cfg
	server, err := url.Parse(cfg.Endpoint)
	w.must(err)
	through := httputil.NewSingleHostReverseProxy(server) // keeps the Host, which is signed
	through.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if on := w.onS3.Load(); on != nil && (*on)(rw, r) {
			return
		}
		through.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	cfg.Endpoint = proxy.URL
	w.proxied = bucket(t, cfg)
	return w
}

func open(t *testing.T, dsn string, edit ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 12
	for _, e := range edit {
		e(cfg)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func bucket(t *testing.T, cfg blob.Config) *blob.Bucket {
	t.Helper()
	b, err := blob.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) store(pool *pgxpool.Pool) *job.Store {
	w.Helper()
	s, err := job.New(job.Config{Pool: pool, LeaseExpiry: expiry, SweepGrace: time.Millisecond})
	w.must(err)
	return s
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.pool.Exec(w.Context(), sql, args...)
	w.must(err)
}

func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), "SELECT count(*) FROM "+sql, args...).Scan(&n))
	return n
}

// file stores parts as an upload that is complete, and returns its job's id.
func (w *world) file(parts ...string) string {
	w.Helper()
	return w.fileOf(tenant, job.NewID(), parts...)
}

// fileOf is file of any tenant, as the upload of that id.
func (w *world) fileOf(tenant, id string, parts ...string) string {
	w.Helper()
	whole := strings.Join(parts, "")
	w.must(w.jobs.InTx(w.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error {
		if err := w.jobs.CreateTx(w.Context(), tx, job.Draft{ID: id, Tenant: tenant, Channel: "tus"}); err != nil {
			return err
		}
		w.exec(`INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, state, expires_at)
			VALUES ($1, $2, $3, $3, 'complete', now())`, id, tenant, len(whole))
		at := 0
		for i, part := range parts {
			o, err := w.bucket.Put(w.Context(), fmt.Sprintf("uploads/%s/%s/1-%d", tenant, id, i), []byte(part))
			if err != nil {
				return err
			}
			w.exec(`INSERT INTO parts VALUES ($1, $2, $3, $4, $5, $6)`, id, at, len(part), o.Key, o.ETag, int64(o.CRC64))
			at += len(part)
		}
		return w.jobs.EnqueueTx(w.Context(), tx, id, int64(len(whole)), blob.CRC64([]byte(whole)))
	}))
	return id
}

func partKey(id string, i int) string { return fmt.Sprintf("uploads/%s/%s/1-%d", tenant, id, i) }

// csv is a small file of two parts, cut in the middle of a record: two accounts
// on three days, and one row that is rejected.
var csv = []string{
	"account_id,date,amount\nA,2024-01-01,10.00\nA,2024-01-01,-2.50\nA,2024-01-0",
	"2,1.00\nB,2024-01-03,7\nB,someday,7\n",
}

// build makes a worker that does not run yet.
func (w *world) build(edit ...func(*worker.Config)) *worker.Worker {
	w.Helper()
	jobs := w.store(w.work)
	uploads, err := upload.New(upload.Config{Pool: w.work, Jobs: jobs, Bucket: w.proxied})
	w.must(err)
	cfg := worker.Config{
		Pool: w.queue, Jobs: jobs, Bucket: w.proxied, Sweeper: uploads,
		SweepEvery: time.Second, SoftStop: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	for _, e := range edit {
		e(&cfg)
	}
	wk, err := worker.New(cfg)
	w.must(err)
	return wk
}

// start runs a worker until the test ends or stop is called, which waits for it.
func (w *world) start(edit ...func(*worker.Config)) (stop func()) {
	w.Helper()
	wk := w.build(edit...)
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- wk.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("worker ended: %v", err)
		}
	}
	w.Cleanup(stop)
	return stop
}

func (w *world) get(id string) job.Job {
	w.Helper()
	j, err := w.jobs.Get(w.Context(), tenant, id)
	w.must(err)
	return j
}

// await asks until the job is as wanted, for a minute.
func (w *world) await(id, what string, is func(j job.Job) bool) job.Job {
	w.Helper()
	var j job.Job
	w.eventually(what, func() bool { j = w.get(id); return is(j) })
	return j
}

func (w *world) ends(id string) job.Job {
	w.Helper()
	return w.await(id, "the job's end", func(j job.Job) bool { return j.State.Terminal() })
}

func (w *world) eventually(what string, yes func() bool) {
	w.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-late:
			w.Fatalf("waited a minute for %s", what)
		}
	}
}

// offers returns the job's decisions as "account approved".
func (w *world) offers(id string) (got []string) {
	w.Helper()
	for o, err := range w.jobs.EachOffer(w.Context(), tenant, id, job.OfferFilter{Decision: job.AllDecisions}) {
		w.must(err)
		got = append(got, o.AccountID)
	}
	return got
}

// results lists the keys below the job's result prefix.
func (w *world) results(id string) (keys []string) {
	w.Helper()
	for o, err := range w.bucket.List(w.Context(), job.ResultPrefix(tenant, id)) {
		w.must(err)
		keys = append(keys, o.Key)
	}
	return keys
}

// gate holds up the worker's first GET of a key until it is opened.
type gate struct{ reached, opened chan struct{} }

func (w *world) gate(key string) *gate {
	g := &gate{make(chan struct{}), make(chan struct{})}
	var passed atomic.Bool
	on := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+key) && passed.CompareAndSwap(false, true) {
			close(g.reached)
			select {
			case <-g.opened:
			case <-w.Context().Done():
			}
		}
		return false
	}
	w.onS3.Store(&on)
	return g
}
