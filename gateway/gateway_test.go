package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/gateway"
	"sluice/internal/access"
	"sluice/internal/aggregate"
	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/drop"
	"sluice/internal/erasure"
	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/session"
	"sluice/internal/upload"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// server is a gateway on a loopback port with a database and a bucket of its
// own. The test does what a worker would do.
type server struct {
	t       testing.TB
	url     string
	pool    *pgxpool.Pool
	jobs    *job.Store
	bucket  *blob.Bucket
	access  *access.Store
	uploads *upload.Store
	log     *logBuffer
	gateway *gateway.Gateway
	stop    func() // ends the hub, as cmd does before it drains
}

// start returns a running server; edit changes its configuration first.
func start(t testing.TB, edit ...func(*gateway.Config)) *server {
	t.Helper()
	return startOn(t, devtest.Database(t), devtest.Bucket(t), edit...)
}

// startOn is start on a database and a bucket that are there already.
func startOn(t testing.TB, pool *pgxpool.Pool, bucket *blob.Bucket, edit ...func(*gateway.Config)) *server {
	t.Helper()
	s := &server{t: t, pool: pool, bucket: bucket, log: &logBuffer{}}
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if s.jobs, err = job.New(job.Config{Pool: s.pool, Logger: log}); err != nil {
		t.Fatal(err)
	}
	uploads, err := upload.New(upload.Config{Pool: s.pool, Jobs: s.jobs, Bucket: s.bucket, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	s.uploads = uploads
	drops, err := drop.New(drop.Config{Pool: s.pool, Jobs: s.jobs, Bucket: s.bucket, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := idempotency.New(idempotency.Config{Pool: s.pool, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := session.New(session.Config{Pool: s.pool})
	if err != nil {
		t.Fatal(err)
	}
	if s.access, err = access.New(access.Config{Pool: s.pool, Logger: log}); err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Pool: s.pool})
	if err != nil {
		t.Fatal(err)
	}
	erasures, err := erasure.New(erasure.Config{Pool: s.pool})
	if err != nil {
		t.Fatal(err)
	}
	hub := job.NewHub(s.pool, log)
	hub.Also(access.Channel, s.access.Heard)
	hub.Also(upload.Channel, uploads.Heard)
	registry := prometheus.NewRegistry()
	cfg := gateway.Config{
		Jobs: s.jobs, Hub: hub, Uploads: uploads, Keys: keys, Sessions: ended, Access: s.access, Audit: entries, Erasures: erasures, Bucket: s.bucket, Drops: drops, Logger: log, Registerer: registry, Gatherer: registry,
		Needs:   gateway.Needs{"postgres": s.pool.Ping, "s3": s.bucket.Check, "migrations": func(context.Context) error { return nil }},
		Version: "1.2.3", Queue: &shown{},
	}
	for _, e := range edit {
		e(&cfg)
	}
	g, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.gateway = g
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { _ = hub.Run(ctx) }()
	s.stop = stop
	web := httptest.NewServer(g.Handler())
	t.Cleanup(func() { stop(); <-hub.Done(); web.Close() }) // streams end with the hub, and Close waits for them
	s.url = web.URL
	return s
}

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// fields are request headers, or what is to be found in an answer.
type fields map[string]string

func (s *server) do(method, path string, header fields, body io.Reader) answer {
	s.t.Helper()
	a, err := s.try(method, path, header, body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// try is do for requests that may break off.
func (s *server) try(method, path string, header fields, body io.Reader) (answer, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if host := header["Host"]; host != "" {
		r.Host = host
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		s.keepsContract(r, resp, text)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (s *server) get(path string, accept ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, fields{"Accept": strings.Join(accept, ",")}, nil)
}

// read decodes the JSON of a GET that must succeed, its numbers as written.
func (s *server) read(path string, v any) {
	s.t.Helper()
	a := s.get(path)
	if a.status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	decode(s.t, a.body, v)
}

func decode(t testing.TB, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
}

// queued makes a job whose bytes have all arrived, and returns its id.
func (s *server) queued(d job.Draft) string {
	s.t.Helper()
	d.ID, d.Channel = job.NewID(), "tus"
	if d.Tenant == "" {
		d.Tenant = job.DefaultTenant
	}
	s.inTx(d.Tenant, func(tx pgx.Tx) error {
		if err := s.jobs.CreateTx(s.t.Context(), tx, d); err != nil {
			return err
		}
		return s.jobs.EnqueueTx(s.t.Context(), tx, d.ID, 1000, 42)
	})
	return d.ID
}

// inTx does what a worker may for a tenant.
func (s *server) inTx(tenant string, do func(pgx.Tx) error) {
	s.t.Helper()
	if err := s.jobs.InTx(s.t.Context(), scope.Worker(tenant), do); err != nil {
		s.t.Fatal(err)
	}
}

// claim takes a queued job as a worker does.
func (s *server) claim(tenant, id string) *job.Lease {
	s.t.Helper()
	j, err := s.jobs.Get(s.t.Context(), tenant, id)
	if err != nil {
		s.t.Fatal(err)
	}
	lease, _, err := s.jobs.Claim(s.t.Context(), job.IngestArgs{Version: 1, JobID: id, Fence: j.Fence}, "test")
	if err != nil {
		s.t.Fatal(err)
	}
	return lease
}

// outcome is what a worker leaves behind.
type outcome struct {
	tenant   string
	exponent int
	config   string // effective credit configuration; "" is baseConfig
	offers   []job.Offer
	rows     []aggregate.Row
	parquet  []byte // in place of rows
	rejects  string
}

const baseConfig = `{"currency":"USD","interest_rates":{"HIGH":0.15,"LOW":0.0500,"MEDIUM":0.09},"offer_type":"credit_line"}`

// completed makes a JOB_COMPLETE job with the given outcome.
func (s *server) completed(o outcome) string {
	s.t.Helper()
	if o.tenant == "" {
		o.tenant = job.DefaultTenant
	}
	id := s.queued(job.Draft{Tenant: o.tenant, Filename: "a.csv"})
	lease := s.claim(o.tenant, id)
	result := s.result(id, o)
	s.inTx(o.tenant, func(tx pgx.Tx) error {
		next, stop := iter.Pull(slices.Values(o.offers))
		defer stop()
		if _, err := s.jobs.CopyOffersTx(s.t.Context(), tx, lease, func() (job.Offer, bool, error) { of, ok := next(); return of, ok, nil }); err != nil {
			return err
		}
		return s.jobs.CompleteTx(s.t.Context(), tx, lease, result)
	})
	return id
}

func (s *server) result(id string, o outcome) job.Result {
	s.t.Helper()
	r := job.Result{
		Engine: "cashflow-1", ModelVersion: "v2.1", ConfigUsed: baseConfig, ConfigSHA256: bytes.Repeat([]byte{0xab}, 32),
		AsOfDay: 19_782, CurrencyExponent: o.exponent, GroupBy: []string{"account_id", "date"},
		TransactionsProcessed: 12, RowsRejected: 3, RejectsByReason: map[string]int64{"bad_amount": 3}, FutureRows: 1, AggregatesCreated: int64(len(o.rows)), OffersGenerated: 2, Declined: 1, Skipped: 4,
		Duration: 1_234_000_000,
	}
	if o.config != "" {
		r.ConfigUsed = o.config
	}
	if o.parquet == nil {
		o.parquet = parquetOf(s.t, o.exponent, o.rows)
	}
	r.Aggregates = s.put(job.ResultPrefix(cmp.Or(o.tenant, job.DefaultTenant), id)+"1/aggregates.parquet", o.parquet)
	if o.rejects != "" {
		r.Rejects = s.put(job.ResultPrefix(cmp.Or(o.tenant, job.DefaultTenant), id)+"1/rejects.csv", []byte(o.rejects))
	}
	return r
}

func (s *server) put(key string, body []byte) job.Object {
	s.t.Helper()
	o, err := s.bucket.Put(s.t.Context(), key, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return job.Object(o)
}

func parquetOf(t testing.TB, exponent int, rows []aggregate.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	w := aggregate.NewWriter(&b, aggregate.Config{Exponent: exponent, RowGroupRows: 1000})
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantProblem fails the test unless a is a complete problem document.
func wantProblem(t *testing.T, a answer, status int, path string) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s: got %d %s %s, want problem %d", path, a.status, a.header.Get("Content-Type"), a.body, status)
	}
	var p map[string]any
	decode(t, a.body, &p)
	for _, key := range []string{"type", "title", "status", "detail", "instance"} {
		if p[key] == nil || p[key] == "" {
			t.Errorf("%s: problem lacks %s: %s", path, key, a.body)
		}
	}
	if got := slices.Collect(maps.Keys(p)); len(got) > 7 {
		t.Errorf("%s: problem has more keys than it should: %v", path, got)
	}
	if p["status"] != json.Number(jsonOf(t, status)) {
		t.Errorf("%s: problem says status %v, answer %d", path, p["status"], status)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
