package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"sluice/gateway"
	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/drop"
	"sluice/internal/erasure"
	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/secret"
	"sluice/internal/session"
	"sluice/internal/upload"
	"sluice/migrations"
)

// databaseSettings say where the authority over uploads and jobs is.
type databaseSettings struct {
	DatabaseURL secret.Text `name:"database-url" group:"Database" env:"SLUICE_DATABASE_URL" placeholder:"URL" help:"Postgres 15 or later: postgres://user:password@host:5432/sluice?sslmode=verify-full. Needed."`

	InsecureTransport []insecure `group:"Database" env:"SLUICE_INSECURE_TRANSPORT" placeholder:"postgres,s3" help:"Servers on other machines that may be spoken to without TLS, or without verifying who answers: in a network that you trust."`
}

// check names the setting and never shows it: it holds a password.
func (s databaseSettings) check() error {
	if s.DatabaseURL == "" {
		return errors.New("--database-url (SLUICE_DATABASE_URL): needed, such as postgres://user:password@host:5432/sluice")
	}
	return s.checkTransport()
}

// s3Settings say where the bytes are.
type s3Settings struct {
	S3Endpoint        httpURL     `name:"s3-endpoint" group:"S3" env:"SLUICE_S3_ENDPOINT" placeholder:"URL" help:"URL of the S3 server. Empty: AWS, in --s3-region."`
	S3CA              string      `name:"s3-ca" group:"S3" env:"SLUICE_S3_CA" placeholder:"FILE" help:"Authorities, in PEM, that the server's certificate may come from. Empty: this machine's."`
	S3Region          string      `name:"s3-region" group:"S3" default:"us-east-1" env:"SLUICE_S3_REGION" help:"Region, signed into each request."`
	S3Bucket          string      `name:"s3-bucket" group:"S3" default:"sluice" env:"SLUICE_S3_BUCKET" help:"Bucket for uploads and results."`
	S3AccessKeyID     string      `name:"s3-access-key-id" group:"S3" env:"SLUICE_S3_ACCESS_KEY_ID" placeholder:"ID" help:"Empty, with the secret: the AWS SDK's own chain (roles, profiles)."`
	S3SecretAccessKey secret.Text `name:"s3-secret-access-key" group:"S3" env:"SLUICE_S3_SECRET_ACCESS_KEY" placeholder:"SECRET" help:"Better given as the variable: other users of a machine can read flags."`
	S3PathStyle       bool        `name:"s3-path-style" group:"S3" default:"true" negatable:"" env:"SLUICE_S3_PATH_STYLE" help:"The bucket goes into the path, not into the host name."`
	S3SSE             string      `name:"s3-sse" group:"S3" enum:",AES256,aws:kms" default:"" env:"SLUICE_S3_SSE" placeholder:"HOW" help:"Have S3 encrypt what is written: AES256, by keys of its own, or aws:kms. Empty: as the bucket is set up."`
	S3SSEKMSKeyID     string      `name:"s3-sse-kms-key-id" group:"S3" env:"SLUICE_S3_SSE_KMS_KEY_ID" placeholder:"ID" help:"Key of aws:kms. Empty: the service's own for S3."`
	S3CreateBucket    bool        `name:"s3-create-bucket" group:"S3" env:"SLUICE_S3_CREATE_BUCKET" help:"Create the bucket at start if it is missing."`
}

func (s s3Settings) check() error {
	if s.S3Bucket == "" {
		return errors.New("--s3-bucket (SLUICE_S3_BUCKET): needed")
	}
	if (s.S3AccessKeyID == "") != (s.S3SecretAccessKey == "") {
		return errors.New("--s3-access-key-id (SLUICE_S3_ACCESS_KEY_ID) and --s3-secret-access-key (SLUICE_S3_SECRET_ACCESS_KEY): give both or neither")
	}
	if s.S3SSEKMSKeyID != "" && s.S3SSE != "aws:kms" {
		return errors.New("--s3-sse-kms-key-id (SLUICE_S3_SSE_KMS_KEY_ID): only with --s3-sse (SLUICE_S3_SSE) aws:kms")
	}
	return nil
}

// uploadSettings bound what uploads may take.
type uploadSettings struct {
	UploadMaxBytes    byteCount     `group:"Uploads" env:"SLUICE_UPLOAD_MAX_BYTES" placeholder:"SIZE" help:"Largest upload, such as 500000, 8MiB or 2GiB; 0: no limit."`
	UploadBufferBytes byteCount     `group:"Uploads" default:"256MiB" env:"SLUICE_UPLOAD_BUFFER_BYTES" help:"Memory for bytes on their way to S3, over all uploads."`
	StreamExpiry      time.Duration `group:"Uploads" default:"1m" env:"SLUICE_STREAM_EXPIRY" help:"How soon after the death of its gateway a request that brings a whole file is given up, and its Idempotency-Key is free."`
	UploadExpiry      time.Duration `group:"Uploads" default:"168h" env:"SLUICE_UPLOAD_EXPIRY" help:"How long an unfinished upload is kept after its last byte, such as 24h."`
}

func (s uploadSettings) check() error {
	if s.UploadBufferBytes < 16<<20 {
		return errors.New("--upload-buffer-bytes (SLUICE_UPLOAD_BUFFER_BYTES): at least 16MiB")
	}
	if s.StreamExpiry < time.Second {
		return errors.New("--stream-expiry (SLUICE_STREAM_EXPIRY): at least 1s")
	}
	if s.UploadExpiry < time.Minute {
		return errors.New("--upload-expiry (SLUICE_UPLOAD_EXPIRY): at least 1m")
	}
	return nil
}

// fleetSettings are of all workers together.
type fleetSettings struct {
	LeaseExpiry  time.Duration `group:"Worker" default:"30s" env:"SLUICE_LEASE_EXPIRY" help:"How long a worker may be silent before another gets its job."`
	JobRetention time.Duration `group:"Worker" default:"0s" env:"SLUICE_JOB_RETENTION" help:"How long ended jobs are kept, with files and results, such as 2160h; 0: for ever. A tenant may have its own: sluice tenants set."`
	SweepGrace   time.Duration `group:"Worker" default:"15m" env:"SLUICE_SWEEP_GRACE" help:"How long strays are kept before they are deleted; longer than a request to S3 lasts."`
}

func (s fleetSettings) check() error {
	if s.LeaseExpiry < time.Second {
		return errors.New("--lease-expiry (SLUICE_LEASE_EXPIRY): at least 1s")
	}
	if s.JobRetention != 0 && s.JobRetention < time.Minute {
		return errors.New("--job-retention (SLUICE_JOB_RETENTION): at least 1m, or 0")
	}
	if s.SweepGrace < time.Second {
		return errors.New("--sweep-grace (SLUICE_SWEEP_GRACE): at least 1s")
	}
	return nil
}

// serverSettings are what the gateway and the worker have in common.
type serverSettings struct {
	databaseSettings
	s3Settings
	uploadSettings
	fleetSettings
	dropSettings
	logSettings
}

func (s serverSettings) check() error {
	return errors.Join(s.databaseSettings.check(), s.s3Settings.check(), s.s3Settings.checkTransport(s.InsecureTransport), s.uploadSettings.check(), s.fleetSettings.check(), s.dropSettings.check())
}

// stack is what the gateway and the worker stand on.
type stack struct {
	log      *slog.Logger
	registry *prometheus.Registry
	pool     *pgxpool.Pool // of the login role: every query enters a scope
	queue    *pgxpool.Pool // of River
	bucket   *blob.Bucket
	jobs     *job.Store
	uploads  *upload.Store
	drops    *drop.Store
	tracer   trace.TracerProvider // nil: nothing is traced
	flush    func()               // sends the spans that are left
	keys     *idempotency.Store
	sessions *session.Store
	access   *access.Store
	audit    *audit.Log
	erasures *erasure.Store
}

// open connects to the servers and asks each of them once, so that a setting
// that is wrong ends the start and not the first upload.
func (s serverSettings) open(ctx context.Context, log *slog.Logger) (_ *stack, err error) {
	st := &stack{log: log, registry: prometheus.NewRegistry()}
	st.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if st.tracer, st.flush, err = tracing(ctx, log); err != nil {
		return nil, err
	}
	if err = s.openPools(ctx, st); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if err = st.pool.Ping(ctx); err != nil {
		return nil, fmt.Errorf("reach --database-url (SLUICE_DATABASE_URL): %w", err)
	}
	if err = st.migrated(ctx); err != nil {
		return nil, fmt.Errorf("check database: %w (sluice migrate up)", err)
	}
	if err = s.openBucket(ctx, st); err != nil {
		return nil, err
	}
	if st.jobs, err = job.New(job.Config{Pool: st.pool, Logger: log, LeaseExpiry: s.LeaseExpiry, SweepGrace: s.SweepGrace, Registerer: st.registry}); err != nil {
		return nil, err
	}
	st.uploads, err = upload.New(upload.Config{
		Pool: st.pool, Jobs: st.jobs, Bucket: st.bucket,
		BufferBytes: int64(s.UploadBufferBytes), MaxBytes: int64(s.UploadMaxBytes), Expiry: s.UploadExpiry, StreamExpiry: s.StreamExpiry, SweepGrace: s.SweepGrace,
		Logger: log, Registerer: st.registry,
	})
	if err != nil {
		return nil, err
	}
	if err = s.openDrops(st); err != nil {
		return nil, err
	}
	if st.keys, err = idempotency.New(idempotency.Config{Pool: st.pool, Lease: s.StreamExpiry, Logger: log}); err != nil {
		return nil, err
	}
	if st.sessions, err = session.New(session.Config{Pool: st.pool}); err != nil {
		return nil, err
	}
	if st.audit, err = audit.New(audit.Config{Pool: st.pool}); err != nil {
		return nil, err
	}
	if st.erasures, err = erasure.New(erasure.Config{Pool: st.pool}); err != nil {
		return nil, err
	}
	st.access, err = access.New(access.Config{Pool: st.pool, Logger: log})
	return st, err
}

// openPools opens pools whose sessions end when a transaction waits for its
// client longer than a lease lives: the client was stopped, and what it has
// locked is others' by then. That of the queue connects when it is first used.
func (s serverSettings) openPools(ctx context.Context, st *stack) error {
	cfg, err := pgxpool.ParseConfig(s.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	set := fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", s.LeaseExpiry.Milliseconds())
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, set)
		return err
	}
	fair := cfg.Copy()
	scope.TakeTurns(fair)
	if st.pool, err = pgxpool.NewWithConfig(ctx, fair); err != nil {
		return err
	}
	scope.QueuePool(cfg)
	if st.queue, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		st.pool.Close()
	}
	return err
}

func (s s3Settings) bucket(ctx context.Context, r prometheus.Registerer) (*blob.Bucket, error) {
	authorities, err := s.authorities()
	if err != nil {
		return nil, err
	}
	return blob.New(ctx, blob.Config{
		Endpoint: string(s.S3Endpoint), RootCAs: authorities, Region: s.S3Region, Bucket: s.S3Bucket, PathStyle: s.S3PathStyle,
		AccessKeyID: s.S3AccessKeyID, SecretAccessKey: s.S3SecretAccessKey, Registerer: r,
		Encryption: types.ServerSideEncryption(s.S3SSE), KMSKeyID: s.S3SSEKMSKeyID,
	})
}

func (s s3Settings) openBucket(ctx context.Context, st *stack) (err error) {
	if st.bucket, err = s.bucket(ctx, st.registry); err != nil {
		return err
	}
	ask := st.bucket.Check
	if s.S3CreateBucket {
		ask = st.bucket.Ensure
	}
	if err := ask(ctx); err != nil {
		return fmt.Errorf("reach bucket %q of --s3-endpoint (SLUICE_S3_ENDPOINT): %w", s.S3Bucket, err)
	}
	return nil
}

// migrated returns nil when the database is at this binary's version.
func (st *stack) migrated(ctx context.Context) error {
	return migrations.Check(ctx, scope.Over(st.pool, scope.System))
}

// needs are what /readyz of a gateway and of a worker asks for.
func (st *stack) needs() gateway.Needs {
	return gateway.Needs{"postgres": st.pool.Ping, "s3": st.bucket.Check, "migrations": st.migrated}
}

func (st *stack) close() {
	st.queue.Close()
	st.pool.Close()
	if st.flush != nil {
		st.flush()
	}
}
