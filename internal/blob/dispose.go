package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// mostCopyBytes is S3's limit for CopyObject.
const mostCopyBytes = 5 << 30

// Expunge deletes exactly this version of an object, for good: by its id where the bucket keeps versions, else if it has
// this ETag still, or it is ErrChanged. What is gone already is ErrNotFound, or no error. Not every server heeds the ETag:
// see Guards.
func (b *Bucket) Expunge(ctx context.Context, o Object) error {
	in := &s3.DeleteObjectInput{Bucket: &b.name, Key: &o.Key, VersionId: given(o.VersionID)}
	if o.Overwritable() {
		in.IfMatch = &o.ETag
	}
	if _, err := b.client.DeleteObject(ctx, in); err != nil {
		return fmt.Errorf("delete object %s: %w", o.Key, sentinel(err))
	}
	return nil
}

// Guards tells whether the server heeds the ETag in Expunge. It tries it on an
// object of its own below prefix, which is gone afterwards.
func (b *Bucket) Guards(ctx context.Context, prefix string) (bool, error) {
	o, err := b.Put(ctx, prefix+rand.Text(), []byte("probe"))
	if err != nil {
		return false, err
	}
	other := o
	other.ETag = `"00000000000000000000000000000000"`
	err = b.Expunge(ctx, other)
	_, gone := b.Stat(ctx, o.Key)
	if deleted := b.Delete(ctx, o.Key); deleted != nil {
		return false, deleted
	}
	return errors.Is(err, ErrChanged) && gone == nil, nil
}

// ErrTooLarge reports that S3 copies no object of that size at once.
var ErrTooLarge = errors.New("object is above 5 GiB")

// CopyTo copies this version of an object to another key of the same bucket, with its metadata. Another version is
// ErrChanged, one above 5 GiB ErrTooLarge.
func (b *Bucket) CopyTo(ctx context.Context, o Object, key string) error {
	if o.SizeBytes > mostCopyBytes {
		return fmt.Errorf("copy object %s: %w", o.Key, ErrTooLarge)
	}
	_, err := b.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &b.name, Key: &key, CopySource: aws.String(b.sourceOf(o)), CopySourceIfMatch: &o.ETag,
		ServerSideEncryption: b.encryption, SSEKMSKeyId: b.kmsKeyID,
	})
	if err != nil {
		return fmt.Errorf("copy object %s to %s: %w", o.Key, key, sentinel(err))
	}
	return nil
}

// sourceOf names a version of an object of this bucket in a header.
func (b *Bucket) sourceOf(o Object) string {
	if o.VersionID == "" {
		return b.source(o.Key)
	}
	return b.source(o.Key) + "?versionId=" + o.VersionID
}

// untagged tells that an object has no tags, which some servers say by an error.
func untagged(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "NoSuchTagSet"
}

// Tag sets tags of an object's version and leaves its others alone. S3 allows ten in all. Without a version id it is the
// current one, whichever that is: look first.
func (b *Bucket) Tag(ctx context.Context, o Object, tags map[string]string) error {
	had, err := b.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &b.name, Key: &o.Key, VersionId: given(o.VersionID)})
	if err != nil && !untagged(err) {
		return fmt.Errorf("get tags of object %s: %w", o.Key, sentinel(err))
	}
	var set []types.Tag
	if err == nil {
		set = slices.DeleteFunc(had.TagSet, func(t types.Tag) bool { _, ours := tags[aws.ToString(t.Key)]; return ours })
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(tags[name])})
	}
	_, err = b.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: &b.name, Key: &o.Key, VersionId: given(o.VersionID), Tagging: &types.Tagging{TagSet: set},
	})
	if err != nil {
		return fmt.Errorf("tag object %s: %w", o.Key, sentinel(err))
	}
	return nil
}

// Clock asks the server for its time, in whole seconds, with a request that also tells whether the bucket can be read:
// that its objects can be listed below prefix. A bucket that is not there is ErrNotFound.
func (b *Bucket) Clock(ctx context.Context, prefix string) (time.Time, error) {
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix, MaxKeys: aws.Int32(1)})
	if err != nil {
		return time.Time{}, fmt.Errorf("list objects %s/%s: %w", b.name, prefix, sentinel(err))
	}
	at, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok {
		return time.Time{}, fmt.Errorf("list objects %s/%s: the server does not tell its time", b.name, prefix)
	}
	return at.UTC(), nil
}
