package blob

import (
	"errors"
	"io"
)

// segments reads pieces of memory as one body. It seeks because the SDK rewinds the body to send it again. It is
// deliberately no io.WriterTo: the SDK stops reading it before an attempt is given up, so the pieces may be used again
// once the request has returned, while a writer of whole pieces could still be at work then.
type segments struct {
	all  [][]byte
	size int64

	next int // the piece that Read continues with
	at   int // and where in it
}

func newSegments(all [][]byte) *segments {
	s := &segments{all: all}
	for _, piece := range all {
		s.size += int64(len(piece))
	}
	return s
}

func (s *segments) Read(p []byte) (n int, err error) {
	for n < len(p) && s.next < len(s.all) {
		k := copy(p[n:], s.all[s.next][s.at:])
		n, s.at = n+k, s.at+k
		if s.at == len(s.all[s.next]) {
			s.next, s.at = s.next+1, 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *segments) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.position()
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 || offset > s.size {
		return 0, errors.New("seek outside the body")
	}
	s.next, s.at = 0, 0
	for rest := offset; rest > 0; {
		if k := int64(len(s.all[s.next])); rest >= k {
			s.next, rest = s.next+1, rest-k
			continue
		}
		s.at, rest = int(rest), 0
	}
	return offset, nil
}

func (s *segments) position() int64 {
	n := int64(s.at)
	for _, piece := range s.all[:s.next] {
		n += int64(len(piece))
	}
	return n
}
