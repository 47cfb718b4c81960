package devstack

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

const (
	// s3AccessKeyID stays the same between runs: buckets remember their owner.
	s3AccessKeyID = "sluice"
	// s3Region is the one the server signs for; its own default.
	s3Region = "us-east-1"
	// s3Copy is S3's limit for one copy (5 GiB), which the server does not default to.
	s3Copy = 5 << 30
)

// S3Config says where the objects live and where the server listens.
type S3Config struct {
	// Dir holds objects and their metadata; it is created where missing.
	Dir string
	// Addr is host:port; empty means a free port of 127.0.0.1.
	Addr string
	// SecretAccessKey is the account's; empty means a new one at every start.
	SecretAccessKey string
	// Events is a URL that is told of every change in every bucket, with the secret
	// that it asks for as its password; it must answer when the server starts. Empty:
	// nobody is told.
	Events string
}

// S3 is an S3 server over plain http with one account: in this process, or a child of it.
type S3 struct {
	// Endpoint is its URL, Region the one to sign for.
	Endpoint, Region string
	// AccessKeyID is the account, SecretAccessKey its secret.
	AccessKeyID, SecretAccessKey string
	// Objects is the folder whose subfolders are the buckets.
	Objects string

	lock   *os.File
	cancel context.CancelFunc
	done   chan struct{}
	err    error // to be read once done is closed
}

// StartS3 starts the server and returns when it answers; ctx bounds the start
// only. Objects are files, not synced to disk: they survive the death of every
// process, not of the machine.
//
// There can be one per process, and it changes the process's working directory
// to one below Dir for good, because versitygw's paths are relative to it.
func StartS3(ctx context.Context, cfg S3Config) (*S3, error) {
	return startS3(ctx, cfg, serveS3)
}

// startS3 takes the directory and tries serve until its port is free.
func startS3(ctx context.Context, cfg S3Config, serve func(context.Context, string, S3Config) (*S3, error)) (*S3, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start S3: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start S3: %w", err)
	}
	lock, err := LockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("start S3: %w", err)
	}
	// Between choosing a free port and listening on it, it can be taken.
	attempts := 1
	if cfg.Addr == "" {
		attempts = 5
	}
	for range attempts {
		var s *S3
		if s, err = serve(ctx, dir, cfg); err == nil {
			s.lock = lock
			return s, nil
		}
	}
	lock.Close()
	return nil, fmt.Errorf("start S3: %w", err)
}

// newBackend keeps metadata in extended attributes, or beside the objects where
// the file system has none. Buckets that are told to keep versions have them in a
// folder of their own.
func newBackend(objects, versions, sidecar string) (*posix.Posix, error) {
	for _, dir := range []string{objects, versions} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	opts := posix.PosixOpts{ValidateBucketNames: true, CopyObjectThreshold: s3Copy, VersioningDir: versions}
	if err := (meta.XattrMeta{}).Test(objects); err == nil {
		return posix.New(objects, meta.XattrMeta{}, opts)
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, err
	}
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, err
	}
	opts.SideCarDir = sidecar
	return posix.New(objects, store, opts)
}

// newS3 says where a server that is yet to start will be found.
func newS3(ctx context.Context, dir string, cfg S3Config) (_ *S3, err error) {
	if cfg.Addr == "" {
		if cfg.Addr, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	return &S3{
		Endpoint: "http://" + cfg.Addr, Region: s3Region,
		AccessKeyID: s3AccessKeyID, SecretAccessKey: cmp.Or(cfg.SecretAccessKey, rand.Text()),
		Objects: filepath.Join(dir, "objects"),
		done:    make(chan struct{}),
	}, nil
}

// serveS3 runs the server until Stop.
func serveS3(ctx context.Context, dir string, cfg S3Config) (_ *S3, err error) {
	s, err := newS3(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	backend, err := newBackend(s.Objects, filepath.Join(dir, "versions"), filepath.Join(dir, "metadata"))
	if err != nil {
		return nil, err
	}
	// A path that nobody else answers: another server on the port is not ours.
	health := "/" + rand.Text()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	account := auth.Account{Access: s.AccessKeyID, Secret: s.SecretAccessKey, Role: auth.RoleAdmin}
	go func() {
		defer close(s.done)
		s.err = embedgw.RunVersityGW(run, backend, &embedgw.Config{
			RootUserAccess: s.AccessKeyID, RootUserSecret: s.SecretAccessKey, Region: s.Region,
			IAMService: auth.NewIAMServiceSingle(account), // its default, which prints that it is
			Ports:      []string{strings.TrimPrefix(s.Endpoint, "http://")}, HealthPath: health, KeepAlive: true, Quiet: true,
			MaxConnections: 4096, MaxRequests: 2048, MultipartMaxParts: 10_000, // S3's limit
			EventWebhookURL: cfg.Events,
		})
	}()
	if err := s.awaitHealthy(ctx, s.Endpoint+health); err != nil {
		cancel()
		return nil, err
	}
	return s, nil
}

// awaitHealthy returns when url answers 200, or with why it never will.
func (s *S3) awaitHealthy(ctx context.Context, url string) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return fmt.Errorf("server ended while starting: %w", s.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if Answers(ctx, url) {
			return nil
		}
	}
}

// Answers tells whether a GET of the URL is answered with 200 while ctx lasts.
func Answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Done is closed when the server has ended, asked to or not.
func (s *S3) Done() <-chan struct{} { return s.done }

// Stop ends the server after the requests that are under way, as long as ctx
// lasts. Called again it says the same.
func (s *S3) Stop(ctx context.Context) error {
	defer s.lock.Close()
	s.cancel()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("stop S3: %w", ctx.Err())
	}
}

// freeAddr is a port of 127.0.0.1 that was free a moment ago.
func freeAddr(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
