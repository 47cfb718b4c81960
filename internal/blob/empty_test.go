package blob_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

// Every version goes, what says that a key was deleted, and multipart uploads; beside the prefix nothing does.
func TestEmptyOfVersions(t *testing.T) {
	t.Parallel()
	b, client := versioned(t)
	name := aws.String(b.Name())
	put(t, b, "a/y", []byte("4444"))
	must(t, b.Delete(t.Context(), "a/y"))
	put(t, b, "ab", []byte("55555"))
	for _, key := range []string{"a/z", "ab"} {
		_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: name, Key: &key})
		must(t, err)
	}
	if all, err := b.Measure(t.Context(), "a/"); err != nil || all != (blob.Contents{Bytes: 10, Objects: 2, Versions: 4}) {
		t.Errorf("there is %+v, %v", all, err)
	}
	for range 2 {
		must(t, b.Empty(t.Context(), "a/"))
	}
	left, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: name})
	must(t, err)
	if len(left.Versions) != 1 || *left.Versions[0].Key != "ab" || len(left.DeleteMarkers) != 0 {
		t.Errorf("left are %+v and %+v", left.Versions, left.DeleteMarkers)
	}
	for prefix, want := range map[string]int{"a/": 0, "ab": 1} {
		uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: name, Prefix: &prefix})
		must(t, err)
		if len(uploads.Uploads) != want {
			t.Errorf("%d multipart uploads are left below %s", len(uploads.Uploads), prefix)
		}
	}
}

// A bucket without versions has more objects than a page.
func TestEmptyOfObjects(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	for i := range 1001 {
		put(t, b, fmt.Sprintf("a/%d", i), []byte("1"))
	}
	put(t, b, "b", []byte("1"))
	if all, err := b.Measure(t.Context(), "a/"); err != nil || all != (blob.Contents{Bytes: 1001, Objects: 1001, Versions: 1001}) {
		t.Errorf("there is %+v, %v", all, err)
	}
	must(t, b.Empty(t.Context(), "a/"))
	if all, err := b.Measure(t.Context(), ""); err != nil || all != (blob.Contents{Bytes: 1, Objects: 1, Versions: 1}) {
		t.Errorf("left is %+v, %v", all, err)
	}
}
