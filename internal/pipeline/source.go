package pipeline

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"sync/atomic"

	"github.com/minio/crc64nvme"
)

// source counts and digests the raw bytes on their way in, and remembers an
// error of theirs: a decoder that is cut off by it would call the data bad.
type source struct {
	r     io.Reader
	bytes atomic.Int64 // read by the goroutines that parse, one at a time, and by progress
	crc   hash.Hash64
	sha   hash.Hash // nil unless it is asked for: it costs more than all the parsing
	done  bool      // the end was reached
	err   error     // of r; never io.EOF
}

func newSource(r io.Reader, withSHA256 bool) *source {
	s := &source{r: r, crc: crc64nvme.New()}
	if withSHA256 {
		s.sha = sha256.New()
	}
	return s
}

// Read goes on saying how it ended: buffers above forget.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.done {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	s.bytes.Add(int64(n))
	s.crc.Write(p[:n])
	if s.sha != nil {
		s.sha.Write(p[:n])
	}
	switch {
	case err == io.EOF: // one that wraps it is a source that was cut off
		s.done = true
	case err != nil:
		s.err = err
	}
	return n, err
}

// verify compares what was read with what was recorded, and claimed.
func (s *source) verify(stored *Stored, claimed []byte) *Failure {
	if stored != nil && (s.bytes.Load() != stored.SizeBytes || s.crc.Sum64() != stored.CRC64) {
		f := fail(CodeDigestMismatch, "the stored bytes are not those that were received: %d bytes with CRC-64 %016x where %d with %016x were stored",
			s.bytes.Load(), s.crc.Sum64(), stored.SizeBytes, stored.CRC64)
		f.CanRetry = true
		return f
	}
	if s.sha == nil {
		return nil
	}
	if sum := s.sha.Sum(nil); !bytes.Equal(sum, claimed) {
		return fail(CodeDigestMismatch, "the file's SHA-256 is %x, and %x was declared; send the file again", sum, claimed)
	}
	return nil
}
