package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"sluice/internal/pipeline"
)

// maxTableHeader bounds the first record of a batch of CSV.
const maxTableHeader = 64 << 10

// errTable is what is wrong with a batch of CSV, wrapped.
var errTable = errors.New("is no batch of CSV")

// table is a batch of CSV without its header: its records, each with an end. It
// counts them by the quotes that stand where a field begins; what a record is the
// worker decides, for the file as a whole.
type table struct {
	header  []byte // with its end
	records int64

	src  *bufio.Reader
	at   place
	left []byte // to come, where src is at its end
	err  error
}

// place is where in a record a byte stands.
type place struct {
	inside bool // quotes
	closed bool // behind a quote that may have closed a field
	begun  bool // of the record something was seen
	field  bool // within a field, which has begun without a quote
}

// step moves over c and tells whether it ends a record.
func (p *place) step(c byte) bool {
	switch {
	case p.inside:
		p.inside, p.closed = c != '"', c == '"'
		return false
	case c == '"' && (!p.field || p.closed):
		*p = place{inside: true, begun: true, field: true}
		return false
	case c == '\n' || c == '\r':
		ended := p.begun
		*p = place{}
		return ended
	}
	*p = place{begun: true, field: c != ',' && c != ';' && c != '\t' && c != '|'}
	return false
}

// newTable reads the header. An error that is not the source's is errTable.
func newTable(src *bufio.Reader) (*table, error) {
	t := &table{src: src}
	if err := t.plain(); err != nil {
		return nil, err
	}
	for ended := false; !ended; {
		c, err := src.ReadByte()
		if errors.Is(err, io.EOF) {
			return t, t.headerAlone()
		}
		if err != nil {
			return nil, err
		}
		if len(t.header) == maxTableHeader {
			return nil, fmt.Errorf("%w: its header is longer than 64 KiB", errTable)
		}
		ended = t.at.step(c)
		if t.at.begun || ended { // blank lines before it are none of it
			t.header = append(t.header, c)
		}
	}
	return t, t.lineFeed()
}

// plain drops a byte order mark and refuses what is compressed or no text in bytes of ASCII.
func (t *table) plain() error {
	head, _ := t.src.Peek(4) // an error is met again by the next read
	for _, magic := range []string{pipeline.GzipMagic, pipeline.ZstdMagic, "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return fmt.Errorf("%w: it is compressed, or UTF-16; send plain text in UTF-8", errTable)
		}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = t.src.Discard(3) // they are in the buffer
	}
	return nil
}

// headerAlone ends a header behind which nothing comes.
func (t *table) headerAlone() error {
	if len(t.header) == 0 {
		return fmt.Errorf("%w: it is empty, and must begin with its header", errTable)
	}
	if t.at.inside {
		return fmt.Errorf("%w: its header ends within quotes", errTable)
	}
	t.header, t.at = append(t.header, '\n'), place{}
	return nil
}

// lineFeed makes one line feed of what ends the header, so that batches whose
// lines end otherwise have the same.
func (t *table) lineFeed() error {
	t.header[len(t.header)-1] = '\n'
	next, err := t.src.Peek(1)
	if err == nil && next[0] == '\n' {
		_, err = t.src.Discard(1)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Read implements io.Reader. A batch that ends within quotes is errTable, for it would go on in the next one.
func (t *table) Read(p []byte) (n int, err error) {
	if t.err == nil {
		n, t.err = t.src.Read(p)
		for _, c := range p[:n] {
			if t.at.step(c) {
				t.records++
			}
		}
		if errors.Is(t.err, io.EOF) {
			t.end()
		}
	}
	if n == 0 && t.err != nil {
		n = copy(p, t.left)
		if t.left = t.left[n:]; len(t.left) == 0 {
			return n, t.err
		}
	}
	return n, nil
}

// end gives the last record an end.
func (t *table) end() {
	if t.at.inside {
		t.err = fmt.Errorf("%w: it ends within quotes", errTable)
		return
	}
	if t.at.begun {
		t.records++
		t.left = []byte("\n")
	}
}
