package devstack_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/devstack"
	"sluice/internal/secret"
)

// TestObjectsOutliveAStop is the only test that starts S3 here: there can be one
// server in a process.
func TestObjectsOutliveAStop(t *testing.T) {
	cfg := devstack.S3Config{Dir: tempDir(t)}
	first := startS3(t, cfg)
	want, err := bucket(t, first).Put(t.Context(), "a/b", []byte("bytes"))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	<-first.Done()

	second := startS3(t, cfg)
	got, err := bucket(t, second).Stat(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("object after the restart = %+v, want %+v", got, want)
	}
	if second.SecretAccessKey == first.SecretAccessKey {
		t.Error("the secret is the same at every start")
	}

	// Its port is taken: another one says so instead of answering for it.
	u, err := url.Parse(second.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := devstack.StartS3(t.Context(), devstack.S3Config{Dir: tempDir(t), Addr: u.Host}); err == nil {
		t.Error("started on a port in use")
	}
	if _, err := devstack.StartS3(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("start on a directory in use: %v", err)
	}
}

func startS3(t *testing.T, cfg devstack.S3Config) *devstack.S3 {
	t.Helper()
	s3, err := devstack.StartS3(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s3.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s3
}

func bucket(t *testing.T, s3 *devstack.S3) *blob.Bucket {
	t.Helper()
	b, err := blob.New(t.Context(), blob.Config{
		Endpoint: s3.Endpoint, Region: s3.Region, PathStyle: true, Bucket: "kept",
		AccessKeyID: s3.AccessKeyID, SecretAccessKey: secret.Text(s3.SecretAccessKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}
