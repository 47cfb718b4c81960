package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sluice/parser"
)

// rejects writes rejected rows as CSV: line, reason, detail, then the row's own
// columns as they came, so that the rows can be mended and sent again.
type rejects struct {
	out    *bufio.Writer
	header []string
	begun  bool
	row    []byte
}

func newRejects(w io.Writer, layout parser.Layout) *rejects {
	if w == nil {
		w = io.Discard
	}
	return &rejects{out: bufio.NewWriterSize(w, bufBytes), header: headerOf(layout)}
}

// headerOf returns the file's own header or, where it has none, names by which
// the columns are found when the rejects are sent again.
func headerOf(layout parser.Layout) []string {
	if layout.Header != nil {
		return layout.Header
	}
	var names []string
	for column, position := range layout.Columns {
		names = append(names, make([]string, max(0, position-len(names)))...)
		names[position-1] = string(column)
	}
	return names
}

// write is a parser.Reader's OnReject.
func (w *rejects) write(r *parser.Reject) error {
	w.row = w.appendHeader(w.row[:0], len(r.Fields))
	w.row = strconv.AppendInt(w.row, r.Line, 10)
	w.row = appendCell(append(w.row, ','), string(r.Reason))
	w.row = appendCell(append(w.row, ','), detailOf(r))
	for _, field := range r.Fields {
		w.row = appendCell(append(w.row, ','), field)
	}
	return w.flush(append(w.row, '\n'), false)
}

func detailOf(r *parser.Reject) string {
	if r.Truncated && r.Reason != parser.RecordTooLong { // which says so itself
		return r.Detail() + " (the row is cut here)"
	}
	return r.Detail()
}

// close writes what is left; without rejects that is the header alone.
func (w *rejects) close() error {
	return w.flush(w.appendHeader(nil, 0), true)
}

func (w *rejects) flush(row []byte, all bool) error {
	_, err := w.out.Write(row)
	if all && err == nil {
		err = w.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// appendHeader appends the header, once. It is as wide as the first rejected
// row at least, which matters where the file has no header.
func (w *rejects) appendHeader(dst []byte, fields int) []byte {
	if w.begun {
		return dst
	}
	w.begun = true
	dst = append(dst, strings.Join(parser.RejectsColumns(), ",")...)
	for _, name := range w.header {
		dst = appendCell(append(dst, ','), name)
	}
	for range fields - len(w.header) {
		dst = append(dst, ',')
	}
	return append(dst, '\n')
}

// appendCell appends a field, in quotes where it must be (RFC 4180), and with
// an apostrophe before what a spreadsheet would run, which the parser takes away again.
func appendCell[T string | []byte](dst []byte, cell T) []byte {
	quoted := strings.ContainsAny(string(cell), "\",\r\n")
	if quoted {
		dst = append(dst, '"')
	}
	if parser.Guarded(cell) {
		dst = append(dst, '\'')
	}
	for i := range len(cell) {
		if cell[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, cell[i])
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}

// Formula tells whether a spreadsheet would run the cell of a CSV: see parser.Formula.
func Formula(cell string) bool { return parser.Formula(cell) }
