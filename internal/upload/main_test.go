package upload_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/upload"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

const kib = 1 << 10

// world is a store with everything around it.
type world struct {
	testing.TB

	cfg     upload.Config
	pool    *pgxpool.Pool
	jobs    *job.Store
	bucket  *blob.Bucket
	s3      blob.Config // of newFaultyWorld: the server behind the faults
	store   *upload.Store
	metrics *prometheus.Registry
}

// newWorld makes a store with parts of 256 KiB: so that tests have many.
func newWorld(t testing.TB, set ...func(*upload.Config)) *world {
	t.Helper()
	w := &world{TB: t, pool: devtest.Database(t)}
	var err error
	w.jobs, err = job.New(job.Config{Pool: w.pool})
	w.must(err)
	w.cfg = upload.Config{Pool: w.pool, Jobs: w.jobs, Bucket: devtest.Bucket(t), PartBytes: 256 * kib}
	for _, f := range set {
		f(&w.cfg)
	}
	w.bucket = w.cfg.Bucket
	w.store, w.metrics = w.open(w.cfg)
	return w
}

// open makes a store as another process would.
func (w *world) open(cfg upload.Config) (*upload.Store, *prometheus.Registry) {
	w.Helper()
	metrics := prometheus.NewRegistry()
	cfg.Registerer = metrics
	store, err := upload.New(cfg)
	w.must(err)
	return store, metrics
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantError(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("error is %v, want %v", err, want)
	}
}

// create begins an upload; a negative size defers its length.
func (w *world) create(size int64) string {
	w.Helper()
	u, err := w.store.NewUpload(w.Context(), handler.FileInfo{Size: max(size, 0), SizeIsDeferred: size < 0})
	w.must(err)
	info, err := u.GetInfo(w.Context())
	w.must(err)
	return info.ID
}

// patch does to store what tusd does in a PATCH.
func (w *world) patch(store *upload.Store, id string, offset int64, body io.Reader) (int64, error) {
	w.Helper()
	u, err := store.GetUpload(w.Context(), id)
	w.must(err)
	return u.WriteChunk(w.Context(), offset, body)
}

func (w *world) info(id string) upload.Info {
	w.Helper()
	info, err := w.store.Info(w.Context(), job.DefaultTenant, id)
	w.must(err)
	return info
}

// wantComplete checks everything that holds of a complete upload: its bytes, its digest, its one job and, after a sweep,
// its objects.
func (w *world) wantComplete(id string, want []byte) {
	w.Helper()
	if info := w.info(id); !info.Complete || info.OffsetBytes != int64(len(want)) || info.SizeBytes != int64(len(want)) {
		w.Fatalf("upload is %+v", info)
	}
	objects := w.source(id)
	if got := w.content(id); !bytes.Equal(got, want) {
		w.Fatalf("the %d bytes stored are not the %d sent", len(got), len(want))
	}
	j, err := w.jobs.Get(w.Context(), job.DefaultTenant, id)
	w.must(err)
	if j.State != job.UploadComplete || j.SizeBytes != int64(len(want)) || j.CRC64 != blob.CRC64(want) {
		w.Fatalf("job is %+v", j)
	}
	if n := w.riverJobs(id); n != 1 {
		w.Fatalf("%d jobs are enqueued, want 1", n)
	}
	w.sweep()
	var keys []string
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	if stored := w.keys(id); !slices.Equal(stored, keys) {
		w.Fatalf("stored are %q, the manifest names %q", stored, keys)
	}
}

// source is what a worker would read.
func (w *world) source(id string) []blob.Object {
	w.Helper()
	parts, err := w.jobs.Source(w.Context(), job.DefaultTenant, id)
	w.must(err)
	objects := make([]blob.Object, len(parts))
	for i, p := range parts {
		objects[i] = blob.Object(p)
	}
	return objects
}

// content is what a worker would read it to.
func (w *world) content(id string) []byte {
	w.Helper()
	body := w.bucket.Open(w.Context(), w.source(id)...)
	defer body.Close()
	got, err := io.ReadAll(body)
	w.must(err)
	return got
}

func (w *world) riverJobs(id string) (n int) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), `SELECT count(*) FROM river_job WHERE kind = 'ingest' AND args->>'job_id' = $1`, id).Scan(&n))
	return n
}

// keys returns the keys of all objects of an upload, in order.
func (w *world) keys(id string) (keys []string) {
	w.Helper()
	for o, err := range w.bucket.List(w.Context(), "uploads/"+job.DefaultTenant+"/"+id+"/") {
		w.must(err)
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	return keys
}

// sweep lets the grace time pass and sweeps.
func (w *world) sweep() {
	w.Helper()
	w.exec(`UPDATE uploads SET sweep_at = clock_timestamp() WHERE sweep_at IS NOT NULL`)
	_, err := w.store.Sweep(w.Context(), 1000)
	w.must(err)
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.pool.Exec(w.Context(), sql, args...)
	w.must(err)
}

func (w *world) gauge(name string) float64 { return value(w, w.metrics, name) }

func value(w *world, metrics *prometheus.Registry, name string) float64 {
	families, err := metrics.Gather()
	w.must(err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	w.Fatalf("no metric %s", name)
	return 0
}

// random returns bytes that are the same for the same seed.
func random(seed uint64, size int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	p := make([]byte, size)
	_, _ = r.Read(p)
	return p
}

// readFunc is an io.Reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
