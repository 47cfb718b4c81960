package drop_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/drop"
	"sluice/internal/job"
)

const tenant = "acme"

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// world is a store of drops, and a bucket of a partner's on the same server.
type world struct {
	*testing.T
	pool    *pgxpool.Pool
	jobs    *job.Store
	own     blob.Config
	bucket  string     // the partner's
	partner *s3.Client // not through the faults
	store   *drop.Store
	onS3    atomic.Pointer[func(w http.ResponseWriter, r *http.Request, s3 http.Handler) (answered bool)]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, pool: devtest.Database(t), own: devtest.S3Config(t), bucket: devtest.S3Config(t).Bucket}
	var err error
	w.jobs, err = job.New(job.Config{Pool: w.pool})
	w.must(err)
	connections := &http.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	w.partner = s3.New(s3.Options{
		HTTPClient:   &http.Client{Transport: connections},
		BaseEndpoint: &w.own.Endpoint, Region: w.own.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(w.own.AccessKeyID, w.own.SecretAccessKey.Reveal(), ""),
	})
	w.store = w.open(w.throughFaults())
	return w
}

// throughFaults is the server behind a proxy on which onS3 may do to each request
// what it likes.
func (w *world) throughFaults() blob.Config {
	w.Helper()
	server, err := url.Parse(w.own.Endpoint)
	w.must(err)
	connections := &http.Transport{}
	w.Cleanup(connections.CloseIdleConnections)
	through := &httputil.ReverseProxy{Transport: connections, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		r.Out.Host = r.In.Host // which is signed
	}, ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if on := w.onS3.Load(); on != nil && (*on)(rw, r, through) {
			return
		}
		through.ServeHTTP(rw, r)
	}))
	w.Cleanup(proxy.Close)
	cfg := w.own
	cfg.Endpoint = proxy.URL
	return cfg
}

// open makes a store as another process would.
func (w *world) open(cfg blob.Config) *drop.Store {
	w.Helper()
	bucket, err := blob.New(w.Context(), cfg)
	w.must(err)
	store, err := drop.New(drop.Config{Pool: w.pool, Jobs: w.jobs, Bucket: bucket, Interval: time.Hour}) // due says when
	w.must(err)
	return store
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

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.pool.Exec(w.Context(), sql, args...)
	w.must(err)
}

func (w *world) count(from string, args ...any) (n int) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), "SELECT count(*) FROM "+from, args...).Scan(&n))
	return n
}

func (w *world) text(sql string, args ...any) (s string) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), sql, args...).Scan(&s))
	return s
}

// versions has the partner's bucket keep versions.
func (w *world) versions() {
	w.Helper()
	_, err := w.partner.PutBucketVersioning(w.Context(), &s3.PutBucketVersioningInput{
		Bucket: &w.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	w.must(err)
}

// put writes an object as a partner does and returns its version id, "" where the
// bucket keeps none, and its ETag.
func (w *world) put(key, content string) (version, etag string) {
	w.Helper()
	out, err := w.partner.PutObject(w.Context(), &s3.PutObjectInput{Bucket: &w.bucket, Key: &key, Body: strings.NewReader(content)})
	w.must(err)
	if out.VersionId != nil {
		version = *out.VersionId
	}
	return version, *out.ETag
}

// there lists the keys of the partner's bucket that have a current version.
func (w *world) there(prefix string) (keys []string) {
	w.Helper()
	out, err := w.partner.ListObjectsV2(w.Context(), &s3.ListObjectsV2Input{Bucket: &w.bucket, Prefix: &prefix})
	w.must(err)
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// watch adds a watch of in/, from now on, edited.
func (w *world) watch(edit ...func(*drop.Draft)) drop.Watch {
	w.Helper()
	d := drop.Draft{Tenant: tenant, Bucket: w.bucket, Prefix: "in/"}
	for _, e := range edit {
		e(&d)
	}
	watch, err := w.store.Add(w.Context(), d)
	w.must(err)
	return watch
}

func (w *world) hint(keys ...string) {
	w.Helper()
	for _, key := range keys {
		w.must(w.store.Hint(w.Context(), []drop.Hint{{Bucket: w.bucket, Key: key}}))
	}
}

// round lists every watch, due or not.
func (w *world) round() {
	w.Helper()
	w.due()
	w.must(w.store.Round(w.Context()))
}

// due makes all due that waits for its time.
func (w *world) due() {
	w.Helper()
	w.exec("UPDATE watches SET list_at = now(), list_until = NULL")
	w.exec("UPDATE drops SET act_at = now()")
}

// completes ends every job that is queued, as a worker would.
func (w *world) ends(state string) {
	w.Helper()
	why := "NULL, error_message = NULL"
	if state != "JOB_COMPLETE" {
		why = "'poison', error_message = 'It is.'"
	}
	w.exec(fmt.Sprintf(`UPDATE jobs SET state = '%s', completed_at = now(), crc64 = 1, error_code = %s WHERE state = 'UPLOAD_COMPLETE'`, state, why))
}

func (w *world) wantJobs(n int) {
	w.Helper()
	if got := w.count("jobs"); got != n {
		w.Fatalf("%d jobs, want %d", got, n)
	}
	if drops := w.count("drops"); drops != n {
		w.Fatalf("%d rows in the ledger and %d jobs", drops, n)
	}
}

// outcome is what became of the object, once.
func (w *world) wantOutcome(key, want string) {
	w.Helper()
	if got := w.text("SELECT string_agg(outcome, ', ' ORDER BY id) FROM drops WHERE object_key = $1", key); got != want {
		w.Errorf("%s: outcome %q, want %q", key, got, want)
	}
}
