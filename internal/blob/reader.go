package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Open reads objects in order as one stream. Each is pinned by its ETag and its size: another version is ErrChanged, a
// missing object ErrNotFound. A connection that breaks is taken up again at the byte it broke at. No request is made
// before the first Read. ctx ends the stream; one goroutine at a time may read it.
func (b *Bucket) Open(ctx context.Context, objects ...Object) io.ReadCloser {
	s := &stream{ctx: ctx, bucket: b, left: make([]span, len(objects))}
	for i, o := range objects {
		s.left[i] = span{o, 0, o.SizeBytes}
	}
	return s
}

// ReaderAt reads ranges of one version of an object, one request each; larger ranges are cheaper. Errors are Open's.
// Any number of goroutines may share it. ctx ends it.
func (b *Bucket) ReaderAt(ctx context.Context, o Object) io.ReaderAt {
	return readerAt{ctx: ctx, bucket: b, object: o}
}

type readerAt struct {
	ctx    context.Context // of ReaderAt: ReadAt has none
	bucket *Bucket
	object Object
}

// ReadAt implements io.ReaderAt.
func (r readerAt) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read object %s: negative offset", r.object.Key)
	}
	end := min(at+int64(len(p)), r.object.SizeBytes)
	if at >= end {
		return 0, eofIf(len(p) > 0)
	}
	s := &stream{ctx: r.ctx, bucket: r.bucket, left: []span{{r.object, at, end}}}
	defer s.hangUp()
	n, err := io.ReadFull(s, p[:end-at])
	if err == nil {
		err = eofIf(n < len(p))
	}
	return n, err
}

func eofIf(short bool) error {
	if short {
		return io.EOF
	}
	return nil
}

// span is the bytes [at, end) of an object.
type span struct {
	Object

	at, end int64
}

// rereads is how often in a row a stream asks again without a byte of progress; the SDK's own retries are within each.
const rereads = 4

type stream struct {
	ctx    context.Context // of Open: Read has none
	bucket *Bucket
	left   []span        // left[0] is being read
	body   io.ReadCloser // of left[0]; nil between requests
	failed int           // requests since the last byte
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if len(s.left) == 0 {
			return 0, io.EOF
		}
		if s.left[0].at == s.left[0].end {
			s.hangUp()
			s.left = s.left[1:]
			continue
		}
		n, err := s.read(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// Close ends the stream. It never fails.
func (s *stream) Close() error {
	s.hangUp()
	s.left = nil
	return nil
}

// read makes one attempt at left[0]. It returns 0 and no error where the next may have more luck.
func (s *stream) read(p []byte) (n int, err error) {
	from := &s.left[0]
	if s.body == nil {
		if s.body, err = s.bucket.get(s.ctx, *from); err != nil {
			return 0, err
		}
	}
	n, err = s.body.Read(p)
	from.at += int64(n)
	if err == nil {
		s.failed = 0
		return n, nil
	}
	s.hangUp() // at the object's end, too; short of it the rest is asked for again
	if n > 0 || from.at == from.end {
		return n, nil
	}
	return 0, s.pause(err)
}

func (s *stream) hangUp() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}

// pause waits before the next attempt, or returns cause when there have been enough.
func (s *stream) pause(cause error) error {
	if s.failed++; s.failed > rereads {
		return fmt.Errorf("read object %s: %w", s.left[0].Key, cause)
	}
	select {
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-time.After(time.Duration(s.failed) * 100 * time.Millisecond):
		return nil
	}
}

// brokenOff is an error of a connection whose chain ends in io.EOF. It hides
// that, for a reader above would take it for the end of the object; all else in
// the chain can be asked for.
type brokenOff struct{ error }

func (e brokenOff) As(target any) bool { return errors.As(e.error, target) }

func unended(err error) error {
	if errors.Is(err, io.EOF) {
		return brokenOff{err}
	}
	return err
}

// get requests the bytes of a span.
func (b *Bucket) get(ctx context.Context, o span) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &o.Key, IfMatch: &o.ETag, VersionId: given(o.VersionID)}
	if o.at != 0 || o.end != o.SizeBytes {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", o.at, o.end-1))
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("get object %s: %w", o.Key, unended(sentinel(err)))
	}
	if got := aws.ToInt64(out.ContentLength); got != o.end-o.at {
		_ = out.Body.Close()
		return nil, fmt.Errorf("get object %s: %w: %d bytes instead of %d", o.Key, ErrChanged, got, o.end-o.at)
	}
	return out.Body, nil
}
