package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Contents are what there is below a prefix.
type Contents struct {
	Bytes    int64 `json:"bytes"`    // of all versions
	Objects  int64 `json:"objects"`  // keys that have a version
	Versions int64 `json:"versions"` // as many where the bucket keeps none
}

// Plus returns the sum.
func (c Contents) Plus(d Contents) Contents {
	return Contents{Bytes: c.Bytes + d.Bytes, Objects: c.Objects + d.Objects, Versions: c.Versions + d.Versions}
}

// Measure counts what there is below prefix, in all versions.
func (b *Bucket) Measure(ctx context.Context, prefix string) (all Contents, err error) {
	before := ""
	err = b.eachVersions(ctx, prefix, func(page []Object, _ []Object) error {
		for _, o := range page { // by key
			if o.Key != before {
				all.Objects++
			}
			all.Versions++
			all.Bytes += o.SizeBytes
			before = o.Key
		}
		return nil
	})
	return all, err
}

// Empty deletes for good what there is below prefix: every version, what says that a key was deleted, and multipart
// uploads as far as the server lists them by less than a whole key, which MinIO does not: see Abandon. It may be broken
// off at any time and called again.
func (b *Bucket) Empty(ctx context.Context, prefix string) error {
	uploads := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: &prefix})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list multipart uploads of %s: %w", prefix, err)
		}
		for _, u := range page.Uploads {
			_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: u.Key, UploadId: u.UploadId})
			if err != nil && !errors.Is(sentinel(err), ErrNotFound) {
				return fmt.Errorf("abort multipart upload of %s: %w", aws.ToString(u.Key), err)
			}
		}
	}
	return b.eachVersions(ctx, prefix, func(versions, markers []Object) error {
		return errors.Join(b.expungeBatch(ctx, versions), b.expungeBatch(ctx, markers))
	})
}

// eachVersions calls fn with one page after the other: versions of objects, and what says that one was deleted. Those of
// a bucket that never kept versions have no id.
func (b *Bucket) eachVersions(ctx context.Context, prefix string, fn func(versions, markers []Object) error) error {
	versioning, err := b.Versioning(ctx)
	if err != nil {
		return err
	}
	if versioning == Unversioned {
		return b.eachObjects(ctx, prefix, fn)
	}
	pages := s3.NewListObjectVersionsPaginator(b.client, &s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &prefix})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list versions of %s/%s: %w", b.name, prefix, err)
		}
		var versions, markers []Object
		for _, v := range out.Versions {
			versions = append(versions, Object{Key: aws.ToString(v.Key), VersionID: aws.ToString(v.VersionId), SizeBytes: aws.ToInt64(v.Size)})
		}
		for _, m := range out.DeleteMarkers {
			markers = append(markers, Object{Key: aws.ToString(m.Key), VersionID: aws.ToString(m.VersionId)})
		}
		if err := fn(versions, markers); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) eachObjects(ctx context.Context, prefix string, fn func(versions, markers []Object) error) error {
	for after, more := (Marker{}), true; more; {
		page, next, goOn, err := b.Page(ctx, prefix, after, false)
		if err != nil {
			return err
		}
		objects := make([]Object, len(page))
		for i, o := range page {
			objects[i] = o.Object
		}
		if err := fn(objects, nil); err != nil {
			return err
		}
		after, more = next, goOn
	}
	return nil
}

// expungeBatch deletes these versions, at most as many as a page has.
func (b *Bucket) expungeBatch(ctx context.Context, page []Object) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]types.ObjectIdentifier, len(page))
	for i, o := range page {
		ids[i] = types.ObjectIdentifier{Key: aws.String(o.Key), VersionId: given(o.VersionID)}
	}
	return b.deleteIDs(ctx, ids)
}
