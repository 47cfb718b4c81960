package blob_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

// versioned returns a bucket with the first version of a/x, written before it kept
// versions, and two that it kept; and the client that did so.
func versioned(t *testing.T) (*blob.Bucket, *s3.Client) {
	t.Helper()
	cfg := devtest.S3Config(t)
	b := open(t, cfg)
	client := s3.New(s3.Options{
		BaseEndpoint: &cfg.Endpoint, Region: cfg.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""),
	})
	put(t, b, "a/x", []byte("1"))
	_, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &cfg.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	must(t, err)
	put(t, b, "a/x", []byte("22"))
	put(t, b, "a/x", []byte("333"))
	return b, client
}

func page(t *testing.T, b *blob.Bucket, prefix string, after blob.Marker, versions bool) []blob.Found {
	t.Helper()
	found, _, more, err := b.Page(t.Context(), prefix, after, versions)
	must(t, err)
	if more {
		t.Error("there is more")
	}
	return found
}

func TestVersions(t *testing.T) {
	t.Parallel()
	b, _ := versioned(t)
	if v, err := b.Versioning(t.Context()); err != nil || v != blob.Versioned {
		t.Fatalf("versioning %q, %v", v, err)
	}
	all := page(t, b, "a/", blob.Marker{}, true)
	if len(all) != 3 || all[0].Overwritable() || all[1].Overwritable() || !all[2].Overwritable() {
		t.Fatalf("versions %+v", all)
	}
	for i, body := range []string{"333", "22", "1"} {
		found, err := b.Look(t.Context(), "a/x", all[i].VersionID)
		must(t, err)
		if found.VersionID != all[i].VersionID || found.ETag != all[i].ETag || found.CRC64 != blob.CRC64([]byte(body)) || time.Since(found.ModifiedAt).Abs() > time.Hour {
			t.Errorf("version %d is %+v", i, found)
		}
		content(t, b, []byte(body), found.Object)
	}
	if current := page(t, b, "a/", blob.Marker{}, false); len(current) != 1 || current[0].ETag != all[0].ETag {
		t.Errorf("current: %+v", current)
	}
	for key, id := range map[string]string{"a/x": "forged", "a/y": "", "a/z": all[0].VersionID} {
		_, err := b.Look(t.Context(), key, id)
		wantError(t, err, blob.ErrNotFound)
	}
}

func TestUnversioned(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	if v, err := b.Versioning(t.Context()); err != nil || v != blob.Unversioned {
		t.Fatalf("versioning %q, %v", v, err)
	}
	keys := []string{"a", "b/ä +%&", "b/c"}
	for _, key := range keys {
		put(t, b, key, []byte("x"))
	}
	var got []string
	for _, o := range page(t, b, "", blob.Marker{}, false) {
		got = append(got, o.Key)
	}
	if !slices.Equal(got, []string{"a", "b/c", "b/ä +%&"}) {
		t.Errorf("keys %q", got)
	}
	if behind := page(t, b, "b/", blob.Marker{Key: "b/c"}, false); len(behind) != 1 {
		t.Errorf("behind b/c: %+v", behind)
	}
	_, err := b.Other("there-is-none").Clock(t.Context(), "")
	wantError(t, err, blob.ErrNotFound)
	if now, err := b.Clock(t.Context(), "b/"); err != nil || time.Since(now).Abs() > time.Hour {
		t.Errorf("the server's clock: %v, %v", now, err)
	}
}

func TestDispose(t *testing.T) {
	t.Parallel()
	b, client := versioned(t)
	all := page(t, b, "a/", blob.Marker{}, true)
	second := all[1].Object
	must(t, b.Tag(t.Context(), second, map[string]string{"one": "1", "two": "2"}))
	must(t, b.Tag(t.Context(), second, map[string]string{"two": "zwei"}))
	got, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(b.Name()), Key: &second.Key, VersionId: &second.VersionID})
	must(t, err)
	tags := map[string]string{}
	for _, tag := range got.TagSet {
		tags[*tag.Key] = *tag.Value
	}
	if fmt.Sprint(tags) != "map[one:1 two:zwei]" {
		t.Errorf("tags %v", tags)
	}
	must(t, b.CopyTo(t.Context(), second, "done/x y"))
	copied, err := b.Look(t.Context(), "done/x y", "")
	must(t, err)
	content(t, b, []byte("22"), copied.Object)
	wrong := second
	wrong.ETag = all[0].ETag
	wantError(t, b.CopyTo(t.Context(), wrong, "done/y"), blob.ErrChanged)
	wrong.SizeBytes = 6 << 30
	wantError(t, b.CopyTo(t.Context(), wrong, "done/y"), blob.ErrTooLarge)
	must(t, b.Expunge(t.Context(), second))
	if left := page(t, b, "a/", blob.Marker{}, true); len(left) != 2 || left[0].VersionID != all[0].VersionID {
		t.Errorf("left: %+v", left)
	}
}

// A server that heeds the condition deletes nothing that was written meanwhile; of
// another Guards says so.
func TestGuards(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	guards, err := b.Guards(t.Context(), "probes/")
	must(t, err)
	if left := page(t, b, "", blob.Marker{}, false); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	before := put(t, b, "a", []byte("before"))
	after := put(t, b, "a", []byte("after"))
	if err := b.Expunge(t.Context(), before); errors.Is(err, blob.ErrChanged) != guards {
		t.Errorf("guards %v, and deleting what was replaced: %v", guards, err)
	}
	if _, err := b.Stat(t.Context(), "a"); (err == nil) != guards {
		t.Errorf("guards %v, and what replaced it: %v", guards, err)
	}
	if guards {
		must(t, b.Expunge(t.Context(), after))
	}
}
