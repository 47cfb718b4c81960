package blob_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	const part = 8 << 20
	for _, size := range []int{0, 1, part - 1, part, part + 1, 2*part + 12_345} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			body := random(size)
			w := b.Create(t.Context(), fmt.Sprint("object-", size))
			defer w.Abort()
			n, err := io.CopyBuffer(struct{ io.Writer }{w}, iotest.HalfReader(bytes.NewReader(body)), make([]byte, 1<<20))
			must(t, err)
			must(t, w.Close())
			o := w.Object()
			if n != int64(size) || o.SizeBytes != n || o.CRC64 != blob.CRC64(body) {
				t.Errorf("object is %+v after %d bytes", o, n)
			}
			stat, err := b.Stat(t.Context(), o.Key)
			must(t, err)
			if stat != o {
				t.Errorf("stat is %+v, want %+v", stat, o)
			}
			content(t, b, body, o)
			if _, err := w.Write([]byte("more")); err == nil {
				t.Error("writes after Close")
			}
		})
	}
}

func TestWriterAborts(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	for name, size := range map[string]int{"small": 10, "large": 9 << 20} {
		w := b.Create(t.Context(), name)
		_, err := w.Write(random(size))
		must(t, err)
		w.Abort()
		if err := w.Close(); err == nil {
			t.Errorf("%s: closes after Abort", name)
		}
		_, err = b.Stat(t.Context(), name)
		wantError(t, err, blob.ErrNotFound)
	}
}

func TestWriterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := b.Create(ctx, "object")
	_, err := w.Write(random(9 << 20))
	must(t, err)
	cancel()
	wantError(t, w.Close(), context.Canceled)
	_, err = b.Stat(t.Context(), "object")
	wantError(t, err, blob.ErrNotFound)
}

// Where the answer to the beginning of a multipart upload is lost, it is begun
// again: neither of the two is left, whatever becomes of the object.
func TestWriterBeginsTwice(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *blob.Writer) error{
		"closed":  func(w *blob.Writer) error { return w.Close() },
		"aborted": func(w *blob.Writer) error { w.Abort(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := devtest.S3Config(t)
			server, address, _ := strings.Cut(cfg.Endpoint, "://")
			cut := cfg
			cut.Endpoint = server + "://" + cutter(t, address, 1) // once the server has done it
			w := open(t, cut).Create(t.Context(), "object")
			_, err := w.Write(random(9 << 20))
			must(t, err)
			must(t, end(w))
			client := s3.New(s3.Options{
				BaseEndpoint: &cfg.Endpoint, Region: cfg.Region, UsePathStyle: true,
				Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""),
			})
			out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &cfg.Bucket})
			must(t, err)
			if len(out.Uploads) != 0 {
				t.Errorf("%d multipart uploads are left", len(out.Uploads))
			}
		})
	}
}
