package parser

import (
	"bytes"
	"io"
)

// endsInCR reports whether lines end in a carriage return alone, as they did
// on the old Mac: there is no line feed in all of the head.
func (h *head) endsInCR() bool {
	return bytes.IndexByte(h.data, '\r') >= 0 && bytes.IndexByte(h.data, '\n') < 0
}

// lineFeeds returns src, which goes on where a record begins, with the line
// ends that the scanner knows.
func (h *head) lineFeeds(src io.Reader, delimiter byte) io.Reader {
	if !h.endsInCR() {
		return src
	}
	return &crReader{src: src, delimiter: delimiter}
}

// crReader makes a line feed of each carriage return outside of quotes; what
// is in quotes is text. Offsets stay what they are.
type crReader struct {
	src       io.Reader
	delimiter byte
	at        skipper
}

func (r *crReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	for i, c := range p[:n] {
		if c == '\r' && r.at.state != inQuotes {
			p[i], c = '\n', '\n'
		}
		if r.at.step(c, r.delimiter, 0) {
			r.at.state = atField
		}
	}
	return n, err
}
