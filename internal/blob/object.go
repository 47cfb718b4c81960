package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Object names one version of one object.
type Object struct {
	Key string
	// VersionID is S3's; empty where the bucket keeps no versions, and for what this package wrote. Where it is set,
	// reads are pinned to it, too.
	VersionID string
	// ETag is S3's, quotes included. Reads are pinned to it.
	ETag string
	// SizeBytes is the object's length.
	SizeBytes int64
	// CRC64 is the CRC-64/NVME of the object. 0 where S3 does not tell: in List, and in Stat of objects written
	// without one.
	CRC64 uint64
}

var (
	// ErrChanged reports that an object is no longer the version that was asked for.
	ErrChanged = errors.New("object changed")
	// ErrNotFound reports that there is no object of that key.
	ErrNotFound = errors.New("object not found")
	// ErrDenied reports that the credentials do not allow the request.
	ErrDenied = errors.New("not allowed")
)

// Put writes an object in one request. S3 computes the CRC-64/NVME again and refuses a body that differs. A request
// that fails may still have written the object. body is the caller's again when Put returns.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) (Object, error) {
	return b.PutSegments(ctx, key, CRC64(body), body)
}

// PutSegments is Put of a body that lies in pieces and whose CRC-64/NVME the caller knows; nothing is joined or copied
// first.
func (b *Bucket) PutSegments(ctx context.Context, key string, crc uint64, body ...[]byte) (Object, error) {
	s := newSegments(body)
	out, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: s, ContentLength: &s.size, ChecksumCRC64NVME: encodeCRC64(crc),
		ServerSideEncryption: b.encryption, SSEKMSKeyId: b.kmsKeyID,
	})
	if err != nil {
		return Object{}, fmt.Errorf("put object %s: %w", key, err)
	}
	return Object{Key: key, ETag: aws.ToString(out.ETag), SizeBytes: s.size, CRC64: crc}, nil
}

// Stat is Look at the current version of an object.
func (b *Bucket) Stat(ctx context.Context, key string) (Object, error) {
	found, err := b.Look(ctx, key, "")
	return found.Object, err
}

// deleteBatch is S3's limit for one DeleteObjects request.
const deleteBatch = 1000

// Delete removes objects. Keys that are not there are no error.
func (b *Bucket) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 1 {
		if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &keys[0]}); err != nil && !errors.Is(sentinel(err), ErrNotFound) {
			return fmt.Errorf("delete object %s: %w", keys[0], err)
		}
		return nil
	}
	for batch := range slices.Chunk(keys, deleteBatch) {
		if err := b.deleteBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) deleteBatch(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		ids[i].Key = &keys[i]
	}
	return b.deleteIDs(ctx, ids)
}

func (b *Bucket) deleteIDs(ctx context.Context, ids []types.ObjectIdentifier) error {
	out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.name, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
	if err != nil {
		return fmt.Errorf("delete %d objects: %w", len(ids), err)
	}
	for _, e := range out.Errors {
		if aws.ToString(e.Code) != "NoSuchKey" && aws.ToString(e.Code) != "NoSuchVersion" {
			return fmt.Errorf("delete object %s: %s", aws.ToString(e.Key), aws.ToString(e.Code))
		}
	}
	return nil
}

// List yields the objects whose keys begin with prefix, by key ascending, without their checksums. It ends after the
// first error.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, fmt.Errorf("list objects %s: %w", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(Object{Key: aws.ToString(o.Key), ETag: aws.ToString(o.ETag), SizeBytes: aws.ToInt64(o.Size)}, nil) {
					return
				}
			}
		}
	}
}

// sentinel adds ErrNotFound, ErrChanged or ErrDenied to an error of S3's that means it.
func sentinel(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NoSuchBucket", "NotFound": // HEAD has no body, so no code but the status's
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case "PreconditionFailed":
		return fmt.Errorf("%w: %w", ErrChanged, err)
	case "AccessDenied", "Forbidden":
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}
