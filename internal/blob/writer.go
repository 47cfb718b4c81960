package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// partBytes is the size of a multipart upload's parts but the last, and a Writer's memory. S3 takes 5 MiB at least, and
// 10,000 parts: an object may have 78 GiB.
const partBytes = 8 << 20

// Create returns a writer of a new object, which appears whole when Close succeeds and not before. ctx ends it.
// Either Close or Abort must be called; Abort after Close does nothing, so it may be deferred.
func (b *Bucket) Create(ctx context.Context, key string) *Writer {
	return &Writer{ctx: ctx, bucket: b, object: Object{Key: key}}
}

// Writer writes one object of any size in bounded memory: up to 8 MiB by one request at the end, more by S3 multipart
// upload. One goroutine at a time may use it.
type Writer struct {
	ctx    context.Context // of Create: Write and Close have none
	bucket *Bucket
	object Object // size and checksum are of what has been written
	buf    []byte // not yet sent

	uploadID *string // nil before the first part
	others   bool    // multipart uploads may have been begun whose answers were lost
	parts    []types.CompletedPart
	err      error // of the first failure, or errClosed
}

var errClosed = errors.New("writer is closed")

// Write implements io.Writer. p is copied.
func (w *Writer) Write(p []byte) (n int, err error) {
	for n < len(p) && w.err == nil {
		if len(w.buf) == partBytes { // only now is it sure that the object needs a second part
			w.err = w.flush()
			continue
		}
		piece := p[n:min(len(p), n+partBytes-len(w.buf))]
		w.buf = append(w.buf, piece...)
		n += len(piece)
	}
	return n, w.err
}

// Close writes what is left and makes the object appear. If it fails there is nothing left to abort.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.finish()
	}
	if w.err != nil {
		w.Abort()
		return w.err
	}
	w.abandonOthers(w.ctx)
	w.err, w.buf, w.uploadID = errClosed, nil, nil
	return nil
}

// Object returns what was written, after a Close that succeeded.
func (w *Writer) Object() Object { return w.object }

// Abort gives the object up and has S3 forget its parts.
func (w *Writer) Abort() {
	if w.uploadID != nil || w.others {
		// Aborting is mostly due because ctx has ended. Parts that stay behind are the bucket's lifecycle rule's.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 10*time.Second)
		defer cancel()
		w.abandonOthers(ctx)
		if w.uploadID != nil {
			_, _ = w.bucket.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: &w.bucket.name, Key: &w.object.Key, UploadId: w.uploadID,
			})
		}
	}
	if w.err == nil {
		w.err = errClosed
	}
	w.buf, w.uploadID = nil, nil
}

// flush sends the buffer as the next part.
func (w *Writer) flush() error {
	if err := w.begin(); err != nil {
		return err
	}
	crc, number := CRC64(w.buf), int32(len(w.parts)+1)
	out, err := w.bucket.client.UploadPart(w.ctx, &s3.UploadPartInput{
		Bucket: &w.bucket.name, Key: &w.object.Key, UploadId: w.uploadID, PartNumber: &number,
		Body: newSegments([][]byte{w.buf}), ContentLength: aws.Int64(int64(len(w.buf))), ChecksumCRC64NVME: encodeCRC64(crc),
	})
	if err != nil {
		return fmt.Errorf("upload part %d of %s: %w", number, w.object.Key, err)
	}
	w.parts = append(w.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC64NVME: encodeCRC64(crc)})
	w.object.CRC64 = Combine(w.object.CRC64, crc, int64(len(w.buf)))
	w.object.SizeBytes += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

func (w *Writer) begin() error {
	if w.uploadID != nil {
		return nil
	}
	out, err := w.bucket.client.CreateMultipartUpload(w.ctx, &s3.CreateMultipartUploadInput{
		Bucket: &w.bucket.name, Key: &w.object.Key,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
		ServerSideEncryption: w.bucket.encryption, SSEKMSKeyId: w.bucket.kmsKeyID,
	})
	if err != nil {
		w.others = true
		return fmt.Errorf("create multipart upload %s: %w", w.object.Key, err)
	}
	tries, told := retry.GetAttemptResults(out.ResultMetadata)
	w.uploadID, w.others = out.UploadId, !told || len(tries.Results) > 1
	return nil
}

// abandonOthers ends the multipart uploads of the key that are not the writer's, as
// far as it can: while it writes, or after that, nobody else does.
func (w *Writer) abandonOthers(ctx context.Context) {
	if w.others {
		_ = w.bucket.Abandon(ctx, w.object.Key)
	}
}

func (w *Writer) finish() (err error) {
	if w.uploadID == nil {
		w.object, err = w.bucket.Put(w.ctx, w.object.Key, w.buf)
		return err
	}
	if len(w.buf) > 0 { // it is empty where the last part was a copy
		if err = w.flush(); err != nil {
			return err
		}
	}
	return w.complete()
}

func (w *Writer) complete() error {
	out, err := w.bucket.client.CompleteMultipartUpload(w.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket.name, Key: &w.object.Key, UploadId: w.uploadID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
		ChecksumType:    types.ChecksumTypeFullObject, ChecksumCRC64NVME: encodeCRC64(w.object.CRC64), MpuObjectSize: &w.object.SizeBytes,
	})
	if err == nil {
		w.object.ETag = aws.ToString(out.ETag)
		return nil
	}
	// The answer to a Complete that worked may be lost, and its repetition fails, otherwise on each server. What counts
	// is whether the object is there.
	found, statErr := w.bucket.Stat(w.ctx, w.object.Key)
	if statErr != nil && !errors.Is(statErr, ErrNotFound) {
		err = errors.Join(err, statErr) // such as a right that is missing: or nobody learns of it
	}
	if statErr != nil || found.SizeBytes != w.object.SizeBytes || found.CRC64 != w.object.CRC64 {
		return fmt.Errorf("complete multipart upload %s: %w", w.object.Key, err)
	}
	w.object.ETag = found.ETag
	return nil
}
