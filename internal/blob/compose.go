package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const (
	// leastPartBytes is S3's limit for a part that is not the last.
	leastPartBytes = 5 << 20
	// mostParts is S3's limit for one object.
	mostParts = 10_000
)

// ErrTooManyParts reports that objects cannot be composed: S3 makes no object of more than 10,000 parts.
var ErrTooManyParts = errors.New("too many parts")

// Compose joins objects in their order into one. Those of 5 MiB and more, and 5 GiB at most, are copied within S3;
// smaller ones, which S3 does not take as parts, are read and written again with their neighbour. The objects must have
// their checksums, are pinned by their ETags and stay as they are.
//
// The new object appears whole, or not at all, and is compared by its size and checksum. beat is called after each part;
// its error ends the work. What a call that is killed has begun stays in S3 until Abandon.
func (b *Bucket) Compose(ctx context.Context, key string, beat func(context.Context) error, objects ...Object) (Object, error) {
	w := b.Create(ctx, key)
	defer w.Abort()
	for _, o := range objects {
		if err := w.add(o); err != nil {
			return Object{}, err
		}
		if err := beat(ctx); err != nil {
			return Object{}, err
		}
	}
	if err := w.Close(); err != nil {
		return Object{}, err
	}
	return w.object, b.verify(ctx, w.object)
}

// add appends an object to what was written.
func (w *Writer) add(o Object) error {
	if len(w.parts) >= mostParts-1 {
		return ErrTooManyParts
	}
	if len(w.buf) == 0 && o.SizeBytes >= leastPartBytes {
		if err := w.copy(o); !uncopyable(err) {
			return err
		}
	}
	at := len(w.buf)
	w.buf = append(w.buf, make([]byte, o.SizeBytes)...)
	in := w.bucket.Open(w.ctx, o)
	defer in.Close()
	if _, err := io.ReadFull(in, w.buf[at:]); err != nil {
		return fmt.Errorf("read object %s: %w", o.Key, err)
	}
	if CRC64(w.buf[at:]) != o.CRC64 {
		return fmt.Errorf("read object %s: %w: another checksum", o.Key, ErrChanged)
	}
	if len(w.buf) < leastPartBytes {
		return nil
	}
	return w.flush()
}

// copy makes an object the next part, within S3.
func (w *Writer) copy(o Object) error {
	if err := w.begin(); err != nil {
		return err
	}
	number := int32(len(w.parts) + 1)
	out, err := w.bucket.client.UploadPartCopy(w.ctx, &s3.UploadPartCopyInput{
		Bucket: &w.bucket.name, Key: &w.object.Key, UploadId: w.uploadID, PartNumber: &number,
		CopySource: aws.String(w.bucket.source(o.Key)), CopySourceIfMatch: &o.ETag,
	})
	if err != nil {
		return fmt.Errorf("copy object %s to part %d of %s: %w", o.Key, number, w.object.Key, sentinel(err))
	}
	if out.CopyPartResult == nil {
		return fmt.Errorf("copy object %s to part %d of %s: no result", o.Key, number, w.object.Key)
	}
	w.parts = append(w.parts, types.CompletedPart{
		PartNumber: &number, ETag: out.CopyPartResult.ETag, ChecksumCRC64NVME: out.CopyPartResult.ChecksumCRC64NVME,
	})
	w.object.CRC64 = Combine(w.object.CRC64, o.CRC64, o.SizeBytes)
	w.object.SizeBytes += o.SizeBytes
	return nil
}

// uncopyable says whether the server copies no object into a multipart upload with checksums: MinIO computes none for a
// copied part and then misses it. Such objects are read and written again.
func uncopyable(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "InvalidArgument"
}

// source names an object of this bucket in a header.
func (b *Bucket) source(key string) string {
	segments := strings.Split(key, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return b.name + "/" + strings.Join(segments, "/")
}

// verify compares what S3 stored with what was written. Where S3 does not tell a checksum the object is read.
func (b *Bucket) verify(ctx context.Context, want Object) error {
	found, err := b.Stat(ctx, want.Key)
	if err != nil {
		return err
	}
	if found.CRC64 == 0 && found.SizeBytes == want.SizeBytes {
		in, crc := b.Open(ctx, want), NewCRC64()
		defer in.Close()
		if _, err := io.Copy(crc, in); err != nil {
			return fmt.Errorf("read object %s: %w", want.Key, err)
		}
		found.CRC64 = crc.Sum64()
	}
	if found.SizeBytes != want.SizeBytes || found.CRC64 != want.CRC64 {
		return fmt.Errorf("verify object %s: %w: %d bytes of checksum %x instead of %d of %x",
			want.Key, ErrChanged, found.SizeBytes, found.CRC64, want.SizeBytes, want.CRC64)
	}
	return nil
}

// Abandon ends the multipart uploads of a key that were begun and not ended, with what they have stored: whoever is at
// work on one fails. The whole key is asked for, since MinIO lists by nothing less.
func (b *Bucket) Abandon(ctx context.Context, key string) error {
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list multipart uploads of %s: %w", key, err)
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) != key {
				continue
			}
			_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: u.UploadId})
			if err != nil && !errors.Is(sentinel(err), ErrNotFound) {
				return fmt.Errorf("abort multipart upload of %s: %w", key, err)
			}
		}
	}
	return nil
}
