package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Found is an object that somebody else wrote.
type Found struct {
	Object

	// ModifiedAt is when it was written, in whole seconds and by the server's clock. Of a multipart upload AWS tells
	// when it was begun.
	ModifiedAt time.Time
	// Metadata is what its writer said of it (x-amz-meta-…), by names in lower case; nil in lists.
	Metadata map[string]string
}

// Look returns an object as it is now: the version of that id, or the current one for "". What is not there, and a
// version that says only that the object was deleted, is ErrNotFound; so is an id that the server does not understand.
func (b *Bucket) Look(ctx context.Context, key, versionID string) (Found, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.name, Key: &key, VersionId: given(versionID), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err = sentinel(err); versionID != "" {
		err = absent(err)
	}
	if err != nil {
		return Found{}, fmt.Errorf("head object: %w", err)
	}
	return Found{
		Object: Object{
			Key: key, VersionID: cmp.Or(aws.ToString(out.VersionId), versionID), ETag: aws.ToString(out.ETag),
			SizeBytes: aws.ToInt64(out.ContentLength), CRC64: decodeCRC64(out.ChecksumCRC64NVME),
		},
		ModifiedAt: aws.ToTime(out.LastModified).UTC(), Metadata: out.Metadata,
	}, nil
}

// absent adds ErrNotFound to what HEAD says of a version that cannot be had: it has no body, so no code but the status's.
func absent(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "MethodNotAllowed" || api.ErrorCode() == "BadRequest") {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// Versioning is what a bucket does with versions that are overwritten.
type Versioning string

// What was written while versions are not kept has the version id NullVersion where they are kept otherwise, and is
// overwritten like an object of a bucket that never kept any.
const (
	Unversioned Versioning = ""          // it never kept them
	Versioned   Versioning = "Enabled"   // it keeps them
	Suspended   Versioning = "Suspended" // it has some of earlier, and keeps no more
	NullVersion            = "null"
)

// Versioning tells what the bucket does. A server that does not know of versions keeps none.
func (b *Bucket) Versioning(ctx context.Context) (Versioning, error) {
	out, err := b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.name})
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "NotImplemented" || api.ErrorCode() == "VersioningNotConfigured") {
		return Unversioned, nil
	}
	if err != nil {
		return Unversioned, fmt.Errorf("get versioning of bucket %s: %w", b.name, sentinel(err))
	}
	return Versioning(out.Status), nil
}

// Overwritable tells whether what is written next under the key takes the place of this version.
func (o Object) Overwritable() bool { return o.VersionID == "" || o.VersionID == NullVersion }

// Marker is a place in the list of a bucket: behind this version of this key, or behind the key for "". The zero Marker
// is the beginning.
type Marker struct{ Key, VersionID string }

// Page lists up to a thousand objects whose keys begin with prefix, behind the marker and by key ascending: all their
// versions, or the current ones. more says whether there are any behind next.
func (b *Bucket) Page(ctx context.Context, prefix string, after Marker, versions bool) (page []Found, next Marker, more bool, err error) {
	if versions {
		return b.versionPage(ctx, prefix, after)
	}
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: &prefix, StartAfter: given(after.Key), EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return nil, after, false, fmt.Errorf("list objects %s/%s: %w", b.name, prefix, err)
	}
	next = after
	for _, o := range out.Contents {
		next = Marker{Key: decoded(o.Key, out.EncodingType)}
		page = append(page, Found{
			Object:     Object{Key: next.Key, ETag: aws.ToString(o.ETag), SizeBytes: aws.ToInt64(o.Size)},
			ModifiedAt: aws.ToTime(o.LastModified).UTC(),
		})
	}
	return page, next, aws.ToBool(out.IsTruncated), nil
}

func (b *Bucket) versionPage(ctx context.Context, prefix string, after Marker) (page []Found, next Marker, more bool, err error) {
	out, err := b.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{
		Bucket: &b.name, Prefix: &prefix, EncodingType: types.EncodingTypeUrl,
		KeyMarker: given(after.Key), VersionIdMarker: given(after.VersionID),
	})
	if err != nil {
		return nil, after, false, fmt.Errorf("list versions of %s/%s: %w", b.name, prefix, err)
	}
	for _, o := range out.Versions {
		page = append(page, Found{
			Object: Object{
				Key: decoded(o.Key, out.EncodingType), VersionID: aws.ToString(o.VersionId),
				ETag: aws.ToString(o.ETag), SizeBytes: aws.ToInt64(o.Size),
			},
			ModifiedAt: aws.ToTime(o.LastModified).UTC(),
		})
	}
	next = Marker{Key: decoded(out.NextKeyMarker, out.EncodingType), VersionID: aws.ToString(out.NextVersionIdMarker)}
	return page, next, aws.ToBool(out.IsTruncated), nil
}

// decoded returns a key of a list. XML holds no control characters, so lists are asked for in the encoding of URLs; a
// server that does not know of it says that it used none.
func decoded(key *string, encoding types.EncodingType) string {
	text := aws.ToString(key)
	if encoding != types.EncodingTypeUrl {
		return text
	}
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return plain
}

// given returns nil for "", which the SDK would send.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
