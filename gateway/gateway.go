// Package gateway is Sluice's HTTP edge: files come in by tus at /files/ and
// by other doors at /api/financial-transactions/; jobs, offers, aggregates and
// rejects are read at /api/.
//
// It knows HTTP: routes, keys, problem documents, and how a result is written
// as JSON, CSV, NDJSON or Parquet. It knows no SQL, nothing of how a file is
// parsed or scored, and nothing of the worker.
package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/drop"
	"sluice/internal/erasure"
	"sluice/internal/idempotency"
	"sluice/internal/issuer"
	"sluice/internal/job"
	"sluice/internal/secret"
	"sluice/internal/session"
	"sluice/internal/upload"
)

// Config holds what a Gateway needs. Jobs, Hub, Uploads, Keys, Sessions, Audit, Erasures,
// Bucket and Needs are required.
type Config struct {
	Jobs *job.Store
	// Hub wakes the event streams. Whoever made it runs it; when it ends they end
	// too, so that their clients go on elsewhere.
	Hub     *job.Hub
	Uploads *upload.Store
	// Keys keeps the answers to requests with an Idempotency-Key.
	Keys *idempotency.Store
	// Sessions knows those of the page that were ended before their time.
	Sessions *session.Store
	// Access knows the tenants' keys, and the sessions that were begun with them.
	Access *access.Store
	// Audit is told of who reads results, and read by admins.
	Audit *audit.Log
	// Erasures ends all that a tenant has, for its admins.
	Erasures *erasure.Store
	// Bucket holds the aggregates and rejects that the worker wrote.
	Bucket *blob.Bucket
	// Needs are what /readyz asks for: postgres, s3 and migrations.
	Needs Needs
	// PublicURL is the base of every URL handed out, such as
	// https://sluice.example. Empty means relative to the host asked, as
	// "/files/job_…": right behind any proxy that does not change paths.
	PublicURL string
	// APIKey is a key of the default tenant's, of the role admin, that also opens
	// /metrics. Without it, an Issuer, and a key in Access, no key is asked for; then only
	// requests for a loopback host are answered, and the caller must listen on
	// loopback only.
	APIKey secret.Text
	// Issuer verifies tokens (JWT) by which tenants' users may ask, as with a key of
	// the tenant and role that they name. Nil: there are none.
	Issuer *issuer.Issuer
	// AdminKey opens what is of all tenants: the queue, and /metrics beside APIKey.
	// It opens nothing else, and nothing else opens the queue. Empty: with a key of
	// any kind the queue is open to nobody, without one to all who are answered.
	AdminKey secret.Text
	// Queue shows River's queue, below QueuePath; requests that change something do
	// not reach it. Nil: there is nothing there.
	Queue http.Handler
	// Origins are those, such as https://shop.example, whose pages may call
	// /files and /api with a key or token of their own (CORS). Each is compared
	// whole; none by default.
	Origins []string
	// Drops is the door of S3. Nil: it is closed.
	Drops *drop.Store
	// HookSecret is asked of who sends bucket events, instead of an API key. Empty:
	// none are taken.
	HookSecret secret.Text
	// WatchAreas is where tenants may add watches. None: they may nowhere.
	WatchAreas []drop.Area
	// MaxUploadBytes is the largest upload taken; 0 means no limit.
	MaxUploadBytes int64
	// MaxJSONBytes is the largest body of process-transactions, 256 MiB by
	// default, and MaxBatchBytes that of a chunk or batch, 64 MiB by default.
	MaxJSONBytes, MaxBatchBytes int64
	// TenantRequests is how many requests of one tenant that bring bytes may be under
	// way at a time, and TenantRate how many of all kinds may begin in a second, and at
	// once; below 1 too. AddressRequests and AddressRate are the same of a client's address
	// and requests of all kinds. 0: no limit.
	TenantRequests, AddressRequests int
	TenantRate, AddressRate         float64
	// TrustedProxies are those whose X-Forwarded-For is believed; none by default.
	TrustedProxies []netip.Prefix
	// BodyStall is how long a client may take for BodyRate bytes of a body for each of
	// its seconds, or for the rest where that is less; 1 minute by default.
	BodyStall time.Duration
	// BodyRate is the least rate at which a body must come, in bytes a second, over
	// each BodyStall; 512 by default.
	BodyRate int64
	// Heartbeat is how often an event stream says that it is there, and looks
	// for what it was not told of. It defaults to 15 s.
	Heartbeat time.Duration
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// Registerer takes the gateway's metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Tracer makes the spans of requests that change something; nil: none.
	Tracer trace.TracerProvider
	// Gatherer feeds /metrics; it defaults to prometheus.DefaultGatherer.
	Gatherer prometheus.Gatherer
	// Version is what /healthz shows; it defaults to "dev".
	Version string
}

// A Gateway answers HTTP requests. It holds no state of its own between them,
// so any number of gateways may stand before the same database and bucket.
type Gateway struct {
	cfg      Config
	log      *slog.Logger
	sessions *sessions
	handler  http.Handler
	leaving  atomic.Bool
	limits   *limits
}

// New returns a Gateway, or an error that names the Config field at fault.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, log: cfg.Logger, sessions: newSessions(cfg.APIKey, cfg.PublicURL), limits: newLimits(cfg)}
	files, err := newFiles(g)
	if err != nil {
		return nil, fmt.Errorf("mount tus handler: %w", err)
	}
	g.handler = g.parting(g.paced(overridden(g.router(files))))
	return g, nil
}

// Handler returns the handler of every route. It may be shared by goroutines.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Leave makes /readyz say that this gateway is about to stop, and has each answer
// end its connection, so that clients and balancers go elsewhere. All else is
// answered as before.
func (g *Gateway) Leave() { g.leaving.Store(true) }

// parting is next with the connection ended after Leave.
func (g *Gateway) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (c *Config) check() error {
	switch {
	case c.Jobs == nil:
		return errors.New("gateway: Jobs is required")
	case c.Hub == nil:
		return errors.New("gateway: Hub is required")
	case c.Uploads == nil:
		return errors.New("gateway: Uploads is required")
	case c.Keys == nil:
		return errors.New("gateway: Keys is required")
	case c.Access == nil:
		return errors.New("gateway: Access is required")
	case c.Sessions == nil:
		return errors.New("gateway: Sessions is required")
	case c.Audit == nil:
		return errors.New("gateway: Audit is required")
	case c.Erasures == nil:
		return errors.New("gateway: Erasures is required")
	case c.Bucket == nil:
		return errors.New("gateway: Bucket is required")
	case c.Needs == nil:
		return errors.New("gateway: Needs is required")
	case c.MaxUploadBytes < 0:
		return errors.New("gateway: MaxUploadBytes is negative")
	case c.MaxJSONBytes < 0, c.MaxBatchBytes < 0, c.BodyStall < 0, c.BodyRate < 0:
		return errors.New("gateway: MaxJSONBytes, MaxBatchBytes, BodyStall and BodyRate must not be negative")
	case c.TenantRequests < 0, c.TenantRate < 0, c.AddressRequests < 0, c.AddressRate < 0:
		return errors.New("gateway: TenantRequests, TenantRate, AddressRequests and AddressRate must not be negative")
	case c.AdminKey != "" && c.AdminKey == c.APIKey:
		return errors.New("gateway: AdminKey is the APIKey")
	}
	c.MaxJSONBytes = cmp.Or(c.MaxJSONBytes, 256<<20)
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, 64<<20)
	c.BodyStall = cmp.Or(c.BodyStall, time.Minute)
	c.BodyRate = cmp.Or(c.BodyRate, 512)
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if u, err := url.Parse(c.PublicURL); err != nil || c.PublicURL != "" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("gateway: PublicURL is not an http or https URL")
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 15 * time.Second
	}
	c.Version = cmp.Or(c.Version, "dev")
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Gatherer == nil {
		c.Gatherer = prometheus.DefaultGatherer
	}
	return nil
}
