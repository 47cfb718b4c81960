package blob_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

// wire notes what each request to the server asks for, of encryption.
type wire struct {
	bucket string // others' are told apart
	mu     sync.Mutex
	seen   map[string]string
}

// before starts a proxy before the server at target.
func (w *wire) before(t *testing.T, target string) *httptest.Server {
	t.Helper()
	to, err := url.Parse(target)
	must(t, err)
	through := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
		w.note(r.In)
	}}
	proxy := httptest.NewServer(&through)
	t.Cleanup(proxy.Close)
	return proxy
}

func (w *wire) note(r *http.Request) {
	operation := r.Method
	for _, name := range []string{"uploads", "uploadId"} {
		if r.URL.Query().Has(name) {
			operation += " " + name
		}
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		operation += " copy"
	}
	if !strings.HasPrefix(r.URL.Path, "/"+w.bucket+"/") {
		operation = "other: " + operation
	}
	asked := strings.TrimSpace(r.Header.Get("X-Amz-Server-Side-Encryption") + " " + r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[operation] = asked
}

// TestEncryption: what creates an object asks for its encryption, nothing else
// does, and neither does what writes to another's bucket.
func TestEncryption(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		encryption types.ServerSideEncryption
		key, want  string
	}{
		{"", "", ""},
		{types.ServerSideEncryptionAes256, "", "AES256"},
		{types.ServerSideEncryptionAwsKms, "", "aws:kms"},
		{types.ServerSideEncryptionAwsKms, devtest.KMSKeyID, "aws:kms " + devtest.KMSKeyID},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			cfg, other := devtest.S3Config(t), devtest.S3Config(t)
			w := &wire{bucket: cfg.Bucket, seen: map[string]string{}}
			proxy := w.before(t, cfg.Endpoint)
			cfg.Endpoint, cfg.Encryption, cfg.KMSKeyID = proxy.URL, tt.encryption, tt.key
			b := open(t, cfg)
			writeEveryWay(t, b, b.Other(other.Bucket))
			if diff := cmp.Diff(map[string]string{
				"PUT": tt.want, "POST uploads": tt.want, "PUT copy": tt.want, // create an object
				"PUT uploadId": "", "PUT uploadId copy": "", "POST uploadId": "", "GET": "", "HEAD": "",
				"other: PUT": "", "other: PUT copy": "",
			}, w.seen); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// writeEveryWay writes by every operation there is, and reads it all.
func writeEveryWay(t *testing.T, b, other *blob.Bucket) {
	t.Helper()
	body := random(12 << 20)
	small := put(t, b, "small", body[:10])
	w := b.Create(t.Context(), "large")
	_, err := w.Write(body)
	must(t, err)
	must(t, w.Close())
	large := w.Object()
	content(t, b, body, large)
	whole, err := b.Compose(t.Context(), "whole", func(context.Context) error { return nil }, large, small)
	must(t, err)
	content(t, b, append(body, body[:10]...), whole)
	must(t, b.CopyTo(t.Context(), small, "copy"))
	must(t, other.CopyTo(t.Context(), put(t, other, "theirs", body[:10]), "theirs too"))
}

// TestEncryptionRefused: what cannot be asked for is no configuration.
func TestEncryptionRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []blob.Config{
		{Bucket: "b", Encryption: "aes256"},
		{Bucket: "b", KMSKeyID: "key"},
		{Bucket: "b", KMSKeyID: "key", Encryption: types.ServerSideEncryptionAes256},
	} {
		if _, err := blob.New(t.Context(), cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
