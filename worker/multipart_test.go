package worker_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/job"
)

// multipartUploads counts those that were begun and not ended.
func (w *world) multipartUploads() int {
	w.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &w.s3.Endpoint, Region: w.s3.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(w.s3.AccessKeyID, w.s3.SecretAccessKey.Reveal(), ""),
	})
	out, err := client.ListMultipartUploads(w.Context(), &s3.ListMultipartUploadsInput{Bucket: &w.s3.Bucket})
	w.must(err)
	return len(out.Uploads)
}

// A large object of a lost attempt is a multipart upload that nobody lists: the
// sweep ends it, as it deletes those that are whole.
func TestSweepEndsMultipartUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const rejects = 600
	id := w.file("account_id,date,amount,description\nA,2024-01-01,1.00,\n" +
		strings.Repeat("A,someday,1.00,"+strings.Repeat("x", 16<<10)+"\n", rejects)) // more than one part
	away := func(rw http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		refused := q.Has("partNumber") || r.Method == http.MethodDelete && q.Has("uploadId")
		if refused {
			http.Error(rw, "away", http.StatusForbidden)
		}
		return refused
	}
	w.onS3.Store(&away)
	w.start()
	w.await(id, "the first attempt's end", func(j job.Job) bool { return j.WaitReason != "" })
	if n := w.multipartUploads(); n != 1 {
		t.Fatalf("%d multipart uploads, want that of the rejects", n)
	}
	w.onS3.Store(nil)
	if j := w.ends(id); j.State != job.JobComplete || j.RowsRejected != rejects {
		t.Fatalf("%s, %v, %d rejects", j.State, j.Error, j.RowsRejected)
	}
	w.eventually("the sweep", func() bool { return w.count("strays") == 0 })
	if n := w.multipartUploads(); n != 0 || len(w.results(id)) != 2 {
		t.Errorf("%d multipart uploads are left, and %q", n, w.results(id))
	}
}
