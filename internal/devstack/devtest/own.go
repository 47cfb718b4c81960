package devtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/devstack"
	"sluice/internal/secret"
)

// minioVariable names a MinIO binary, by an absolute path, to run the tests
// against it instead of the S3 server inside the process.
const minioVariable = "SLUICE_TEST_MINIO"

// startS3 starts the S3 server that the tests are to run against.
func startS3(ctx context.Context, cfg devstack.S3Config) (*devstack.S3, error) {
	//nolint:forbidigo // a test binary has no command of ours that could read it
	if binary := os.Getenv(minioVariable); binary != "" {
		return devstack.StartMinIO(ctx, binary, cfg)
	}
	return devstack.StartS3(ctx, cfg)
}

// Postgres is a server of one test alone, durable, which the test may kill.
type Postgres struct {
	t   testing.TB
	cfg devstack.PostgresConfig
	pg  *devstack.Postgres
}

// OwnPostgres starts a server for this test alone, whose configuration edit may
// change. It is gone after the test.
func OwnPostgres(t testing.TB, edit ...func(*devstack.PostgresConfig)) *Postgres {
	t.Helper()
	p := &Postgres{t: t, cfg: devstack.PostgresConfig{Dir: ownDir(t)}}
	for _, e := range edit {
		e(&p.cfg)
	}
	p.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupLimit)
		defer cancel()
		if err := p.pg.Stop(ctx); err != nil {
			t.Logf("devtest: stop own PostgreSQL: %v", err)
		}
	})
	return p
}

// Start starts a killed server on its data, at the same place.
func (p *Postgres) Start() {
	p.t.Helper()
	var err error
	if p.pg, err = devstack.StartPostgres(p.t.Context(), p.cfg); err != nil {
		p.t.Fatalf("devtest: start own PostgreSQL: %v", err)
	}
}

// Kill ends the server as a power cut does, and returns when it has ended.
func (p *Postgres) Kill() {
	p.t.Helper()
	if err := syscall.Kill(p.pg.PID(), syscall.SIGKILL); err != nil {
		p.t.Fatalf("devtest: kill own PostgreSQL: %v", err)
	}
	<-p.pg.Done()
}

// Database creates an empty database and returns its URL, which outlives kills.
func (p *Postgres) Database(name string) string {
	p.t.Helper()
	if err := p.pg.CreateDatabase(p.t.Context(), name); err != nil {
		p.t.Fatalf("devtest: create database: %v", err)
	}
	return p.pg.DSN(name)
}

// ownS3Name begins the argument of the process of an S3 server of one test
// alone; its configuration follows, as JSON.
const ownS3Name = "own-s3:"

// S3 is a server of one test alone, in a process that the test may kill.
type S3 struct {
	// Config is where its one bucket is, which exists.
	Config blob.Config

	t      testing.TB
	cfg    devstack.S3Config
	server server
}

// OwnS3 starts a server for this test alone, whose configuration edit may change.
// It is gone after the test.
func OwnS3(t testing.TB, edit ...func(*devstack.S3Config)) *S3 {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("devtest: find free port: %v", err)
	}
	addr := listener.Addr().String()
	listener.Close()
	s := &S3{t: t, cfg: devstack.S3Config{Dir: ownDir(t), Addr: addr, SecretAccessKey: rand.Text()}}
	for _, e := range edit {
		e(&s.cfg)
	}
	s.Start()
	t.Cleanup(s.Kill) // its objects go too, and it would wait for every idle connection of its clients
	said := s.server.hello.S3
	s.Config = blob.Config{
		Endpoint: said.Endpoint, Region: said.Region, PathStyle: true, Bucket: "own",
		AccessKeyID: said.AccessKeyID, SecretAccessKey: secret.Text(said.SecretAccessKey),
	}
	if err := s.Bucket().Ensure(t.Context()); err != nil {
		t.Fatalf("devtest: create bucket: %v", err)
	}
	return s
}

// Bucket returns its bucket.
func (s *S3) Bucket() *blob.Bucket {
	s.t.Helper()
	bucket, err := blob.New(s.t.Context(), s.Config)
	if err != nil {
		s.t.Fatalf("devtest: open bucket: %v", err)
	}
	return bucket
}

// Start starts a killed server on its objects, at the same address and with the
// same account.
func (s *S3) Start() {
	s.t.Helper()
	text, err := json.Marshal(s.cfg)
	if err != nil {
		s.t.Fatalf("devtest: encode configuration: %v", err)
	}
	s.server = server{name: ownS3Name + string(text)}
	if err := s.server.start(); err != nil {
		s.t.Fatalf("devtest: start own S3 server: %v", err)
	}
}

// Kill ends the server as a power cut does, and returns when it has ended. One
// that does not run is left alone.
func (s *S3) Kill() {
	s.t.Helper()
	if s.server.cmd == nil {
		return
	}
	if err := s.server.cmd.Process.Kill(); err != nil {
		s.t.Fatalf("devtest: kill own S3 server: %v", err)
	}
	_ = s.server.cmd.Wait() // "signal: killed", as asked
	s.server.cmd = nil      // nothing to stop
}

// startOwnS3 is the server's side of [S3.Start]. The directory is the test's.
func startOwnS3(ctx context.Context, name string) (hello, func(context.Context) error, error) {
	var cfg devstack.S3Config
	if err := json.Unmarshal([]byte(strings.TrimPrefix(name, ownS3Name)), &cfg); err != nil {
		return hello{}, nil, fmt.Errorf("decode configuration: %w", err)
	}
	s3, err := startS3(ctx, cfg)
	if err != nil {
		return hello{}, nil, err
	}
	return hello{S3: s3}, s3.Stop, nil
}

// ownDir returns a directory of a server of one test alone, which is removed
// after the test or, where its process was killed, by the next tests.
func ownDir(t testing.TB) string {
	t.Helper()
	base := os.TempDir()
	if strings.Count(base, string(filepath.Separator)) > 1 { // see startIn
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, tempPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatalf("devtest: create directory: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupLimit)
		defer cancel()
		if err := devstack.Remove(ctx, dir); err != nil {
			t.Errorf("devtest: remove directory: %v", err)
		}
	})
	return dir
}
