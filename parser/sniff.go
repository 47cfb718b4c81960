package parser

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	headBytes     = 1 << 20 // of the stream, in which the header must end
	headerRecords = 64      // in which the header is looked for (PARSING.md)
	delimiters    = ",;\t|" // in the order in which they are tried
)

// head is the beginning of the stream, kept to be read once more.
type head struct {
	data   []byte
	offset int64 // bytes before data: a byte order mark
	whole  bool  // data is all there is
}

func readHead(src io.Reader) (head, error) {
	data, err := io.ReadAll(io.LimitReader(src, headBytes))
	if err != nil {
		return head{}, fmt.Errorf("read head: %w", err)
	}
	h := head{data: data, whole: len(data) < headBytes}
	if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		h.data, h.offset = rest, 3
	}
	if h.whole && len(bytes.TrimSpace(h.data)) == 0 {
		return h, fileErrorf(EmptyFile, 0, "the file is empty")
	}
	return h, nil
}

// scan returns a scanner of a copy of the head from a place in it.
func (h *head) scan(delimiter byte, from, lines int64) *scanner {
	const block = 64 << 10
	return newScanner(h.lineFeeds(bytes.NewReader(h.data[from-h.offset:]), delimiter), delimiter, min(block, len(h.data)+1), from, lines)
}

// cutShort reports whether s has come to where the head was cut off, so that
// its last record may be half a record.
func (h *head) cutShort(s *scanner) bool {
	return !h.whole && s.offset() >= h.offset+int64(len(h.data))
}

// dialect is how a file is laid out: what a Reader needs to know before its
// first row.
type dialect struct {
	delimiter byte
	guarded   bool     // it is a file of rejects
	header    []string // nil = none
	line      int64    // of the header, or 0
	width     int      // fields of every row, or of the first under Config.Ragged
	least     int      // fields without which a row is short; 0 = width
	columns   map[Column]place
	offset    int64 // where the rows begin
	lines     int64 // line feeds before that

	hints string // end the sentence for the owner of a file without a valid row
}

func (d *dialect) hint(text string) { d.hints += "; " + text }

// holds reports whether a row of so many fields has all that are to be read.
func (d *dialect) holds(count int) bool {
	return count == d.width || d.least > 0 && count >= d.least
}

// loosen makes rows of any number of fields do that hold what is read.
func (d *dialect) loosen() {
	d.least = 1
	for _, p := range d.columns {
		d.least = max(d.least, p.position)
	}
}

// sniff finds the delimiter and the header: the record, of the first 64, that
// holds every needed column under one of the delimiters. An earlier record
// goes before a later one.
func sniff(h *head, cfg *Config, m *matcher) (dialect, error) {
	if !cfg.hasHeader() {
		return sniffHeaderless(h, cfg, m)
	}
	from, lines, err := h.skipLines(cfg.HeaderLine)
	if err != nil {
		return dialect{}, err
	}
	limit := headerRecords
	if cfg.HeaderLine > 0 {
		limit = 1
	}
	var best dialect
	miss := &miss{matcher: m}
	for _, delimiter := range candidates(cfg) {
		d, ok := h.findHeader(h.scan(delimiter, from, lines), limit, miss)
		if ok && (best.header == nil || d.line < best.line) {
			best = d
		}
	}
	if best.header == nil {
		return best, miss.explain(h)
	}
	if c, p := m.duplicate(best.columns); c != "" {
		return best, fileErrorf(DuplicateColumn, best.line, "two columns could be %s: %q (column %d) and %q (column %d)",
			c, shown([]byte(best.header[p.position-1])), p.position, shown([]byte(best.header[p.again-1])), p.again)
	}
	return best, nil
}

func candidates(cfg *Config) []byte {
	if cfg.Delimiter != 0 {
		return []byte{cfg.Delimiter}
	}
	return []byte(delimiters)
}

// skipLines returns where the given 1-based line begins; 0 means the first.
func (h *head) skipLines(line int) (from, lines int64, err error) {
	rest, end := h.data, []byte{'\n'}
	if h.endsInCR() {
		end = []byte{'\r'}
	}
	for lines < int64(line)-1 {
		_, after, ok := bytes.Cut(rest, end)
		if !ok {
			return 0, 0, fileErrorf(MissingColumn, 0, "header_line is %d, but the file's head has %d lines", line, lines+1)
		}
		rest = after
		lines++
	}
	return h.offset + int64(len(h.data)-len(rest)), lines, nil
}

// findHeader looks at up to limit records for one that holds the needed
// columns, and tells miss of those that do not.
func (h *head) findHeader(s *scanner, limit int, miss *miss) (dialect, bool) {
	first := s.lines
	for range limit {
		ok, err := s.advance()
		if err != nil && h.whole {
			miss.ended = unterminated(s)
		}
		if limit == 1 && err == nil && (!ok || s.record.line != first+1) {
			miss.ended = fileErrorf(MissingColumn, first+1, "line %d, the header_line, is blank", first+1)
			break
		}
		if !ok || h.cutShort(s) {
			break
		}
		if s.record.fault != "" {
			continue
		}
		names := s.fields.names()
		guarded := isRejects(names)
		if guarded {
			for i, name := range names {
				names[i] = unguard(name)
			}
		}
		columns, missing := miss.matcher.match(names)
		if len(missing) == 0 && s.fields.count <= maxFields {
			return dialect{
				delimiter: s.fields.delimiter, guarded: guarded, header: names, line: s.record.line, width: len(names),
				columns: columns, offset: s.offset(), lines: s.lines,
			}, true
		}
		miss.consider(names, s.fields.count, s.record.line, len(columns), missing)
	}
	return dialect{}, false
}

// sniffHeaderless takes the delimiter that cuts the first record into the most
// fields. That record says how many every row has.
func sniffHeaderless(h *head, cfg *Config, m *matcher) (dialect, error) {
	var best dialect
	need := 0
	for _, position := range m.fixed {
		need = max(need, position)
	}
	for _, delimiter := range candidates(cfg) {
		s := h.scan(delimiter, h.offset, 0)
		ok, err := s.advance()
		if errors.Is(err, errUnterminated) && h.whole {
			return best, unterminated(s)
		}
		if ok && !h.cutShort(s) && s.fields.count > best.width {
			best = dialect{delimiter: delimiter, width: s.fields.count, offset: s.record.offset, lines: s.record.line - 1}
		}
	}
	switch kind := looksLike(h.data); {
	case kind != "" && !isTextKind(kind):
		return best, fileErrorf(Binary, 0, "the file looks like %s, not like CSV", kind)
	case best.width < need:
		return best, fileErrorf(MissingColumn, best.lines+1, "columns names column %d, but the first row has %d", need, best.width)
	case best.width > maxFields:
		return best, fileErrorf(TooManyColumns, best.lines+1, "the first row has %d columns; the limit is %d", best.width, maxFields)
	}
	best.columns, _ = m.match(make([]string, best.width))
	return best, nil
}

// advance is next with its fills, for a scanner of the head.
func (s *scanner) advance() (bool, error) {
	for {
		ok, err := s.next()
		if ok || err != nil {
			return ok, err
		}
		if more := s.fill() == nil; !more { // in memory nothing but the end can stop it
			return false, nil
		}
	}
}

// names returns the fields as text of their own, trimmed.
func (f *fields) names() []string {
	names := make([]string, min(f.count, maxFields))
	for i := range names {
		names[i] = strings.TrimSpace(string(f.value(i)))
	}
	return names
}

func unterminated(s *scanner) *FileError {
	return fileErrorf(UnterminatedQuote, s.record.line, "a quote opened on line %d is never closed", s.record.line)
}
