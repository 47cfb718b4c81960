package transaction

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Header is the header of the rows. index is a transaction's place among those that were sent together, from 0.
const Header = "index,account_id,date,amount,is_revenue\n"

// NumberedHeader is the header of rows that begin with the number of the batch that they came in. name is that column's.
func NumberedHeader(name string) string { return name + "," + Header }

// ErrTooMany is returned by Rows where more transactions come than it may take.
var ErrTooMany = errors.New("too many transactions")

// Rows is a stream of transactions as CSV, without the header. A transaction that is no object, or a line that is no JSON,
// is a row of two fields: its index, and how it begins. A key given twice adds a field to its row.
type Rows struct {
	s     *scanner
	more  func() (bool, error) // moves to the next transaction
	most  int64
	count int64
	row   row
	begin []byte // of each row
	left  []byte // of the last row
	err   error
}

// NewArray reads an array of transactions that is all of r. It takes most of them; 0: any number.
func NewArray(r io.Reader, most int64) *Rows {
	s := newScanner(r)
	rows := &Rows{s: s, most: most}
	rows.more = func() (bool, error) {
		more, err := rows.nextElement()
		if err == nil && !more {
			err = s.ended()
		}
		return more, err
	}
	return rows
}

// NewLines reads one transaction a line, and skips empty lines. It takes most of them; 0: any number.
func NewLines(r io.Reader, most int64) *Rows {
	s := newScanner(r)
	s.lines = true
	rows := &Rows{s: s, most: most}
	rows.more = rows.nextLine
	return rows
}

// ended checks that nothing but blanks is left.
func (s *scanner) ended() error {
	c, err := s.blank()
	if err == nil {
		return s.errorf("%q behind the end of the JSON", c)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Numbered has each row begin with a number, that of the batch.
func (r *Rows) Numbered(n int) *Rows {
	r.begin = append(strconv.AppendInt(nil, int64(n), 10), ',')
	return r
}

// Held is rows in memory, whose batch's number is not known yet.
type Held struct {
	rows []byte
	ends []int // of each
}

// ErrTooLarge is returned by Hold.
var ErrTooLarge = errors.New("rows too large to hold")

// Hold reads all rows into memory, up to most bytes of them; else it returns ErrTooLarge.
func (r *Rows) Hold(most int) (*Held, error) {
	var h Held
	for {
		err := r.next()
		if errors.Is(err, io.EOF) {
			return &h, nil
		}
		if err == nil && len(h.rows)+len(r.left) > most {
			err = ErrTooLarge
		}
		if err != nil {
			return nil, err
		}
		h.rows = append(h.rows, r.left...)
		h.ends = append(h.ends, len(h.rows))
	}
}

// Numbered returns the rows, each beginning with a number.
func (h *Held) Numbered(n int) io.Reader {
	begin := append(strconv.AppendInt(nil, int64(n), 10), ',')
	rows := make([]byte, 0, len(h.rows)+len(h.ends)*len(begin))
	from := 0
	for _, end := range h.ends {
		rows = append(append(rows, begin...), h.rows[from:end]...)
		from = end
	}
	return bytes.NewReader(rows)
}

// Count returns how many transactions were read.
func (r *Rows) Count() int64 { return r.count }

// Read implements io.Reader. The error is a *SyntaxError, ErrTooMany, or the source's own.
func (r *Rows) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.left) == 0 {
			if r.err == nil {
				r.err = r.next()
			}
			if r.err != nil {
				return n, r.err
			}
		}
		k := copy(p[n:], r.left)
		n, r.left = n+k, r.left[k:]
	}
	return n, nil
}

// next makes r.left of the next transaction.
func (r *Rows) next() error {
	more, err := r.more()
	if err != nil {
		return err
	}
	if !more {
		return io.EOF
	}
	if r.most > 0 && r.count == r.most {
		return ErrTooMany
	}
	if err := r.row.read(r.s); err != nil {
		return err
	}
	r.left = r.row.csv(r.begin, r.count)
	r.count++
	return nil
}

// nextElement moves to the next element of the array.
func (r *Rows) nextElement() (bool, error) {
	if r.count == 0 {
		return r.s.opens('[', ']')
	}
	return r.s.follows(']')
}

// nextLine moves to the next line that is not blank, over the end of one that broke off.
func (r *Rows) nextLine() (bool, error) {
	for {
		c, err := r.s.blank()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil || c != '\n' {
			return err == nil, err
		}
		r.s.one()
	}
}

// columns are the keys of a transaction that are read, in the order of Header.
var columns = [...]string{"account_id", "date", "amount", "is_revenue"}

// row is one transaction while it is read.
type row struct {
	fields [len(columns)]field
	twice  []byte // a key that came again
	head   []byte // how it begins
	whole  bool   // it is an object
	key    []byte
	out    []byte
}

type field struct {
	value []byte
	kind  kind
	seen  bool
}

// headBytes of what is no transaction are kept to show it.
const headBytes = 64

// read reads one transaction, to the end of its line where lines are read. What a line is that is no JSON, row tells.
func (r *row) read(s *scanner) error {
	for i := range r.fields {
		r.fields[i] = field{value: r.fields[i].value[:0]}
	}
	r.twice, r.whole = r.twice[:0], false
	head, _ := s.r.Peek(headBytes) // an error is met again by the next read
	r.head = append(r.head[:0], head...)
	err := r.value(s)
	if !s.lines {
		return err
	}
	if err == nil {
		err = s.lineEnd()
	}
	if syntax := (*SyntaxError)(nil); errors.As(err, &syntax) {
		r.whole = false
		return s.skipLine()
	}
	return err
}

func (r *row) value(s *scanner) error {
	c, err := s.within()
	if err != nil {
		return err
	}
	if c != '{' {
		return s.skip(0)
	}
	more, err := s.opens('{', '}')
	for more && err == nil {
		if err = r.member(s); err == nil {
			more, err = s.follows('}')
		}
	}
	r.whole = err == nil
	return err
}

// member reads a key and its value.
func (r *row) member(s *scanner) (err error) {
	const longest = len("account_id") // a longer key is none of ours, nor is what it is cut to
	if r.key, err = s.key(r.key[:0], longest+1); err != nil {
		return err
	}
	for i, name := range columns {
		if string(r.key) != name {
			continue
		}
		f := &r.fields[i]
		if f.seen {
			r.twice = append(r.twice[:0], name...)
		}
		return f.read(s)
	}
	return s.skip(0)
}

func (f *field) read(s *scanner) error {
	f.seen = true
	c, err := s.within()
	if err != nil {
		return err
	}
	if c == '{' || c == '[' {
		f.value, f.kind = append(f.value[:0], c), composite
		return s.skip(0)
	}
	f.value, f.kind, err = s.scalar(f.value[:0], maxField)
	return err
}

// lineEnd checks that nothing but blanks is left of the line.
func (s *scanner) lineEnd() error {
	c, err := s.blank()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil && c != '\n':
		return s.errorf("%q behind a transaction", c)
	}
	return err
}

// skipLine moves before the next line feed, or to the end.
func (s *scanner) skipLine() error {
	for {
		b, err := s.window()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line, _, ends := bytes.Cut(b, []byte("\n"))
		s.take(line)
		if ends {
			return nil
		}
	}
}

// csv returns the row behind what it begins with, valid until the next one is read. An account id that is neither text nor number is left empty,
// for any text would be an account.
func (r *row) csv(begin []byte, index int64) []byte {
	out := strconv.AppendInt(append(r.out[:0], begin...), index, 10)
	if !r.whole {
		line, _, _ := bytes.Cut(r.head, []byte("\n"))
		r.out = append(appendCell(append(out, ','), line), '\n')
		return r.out
	}
	for i, f := range r.fields {
		out = append(out, ',')
		if i > 0 || f.kind == text || f.kind == number {
			out = appendCell(out, f.value)
		}
	}
	if len(r.twice) > 0 {
		out = appendCell(append(out, ','), fmt.Appendf(nil, "%s is given twice", r.twice))
	}
	r.out = append(out, '\n')
	return r.out
}

// appendCell appends a field, in quotes where it must be (RFC 4180).
func appendCell(dst, cell []byte) []byte {
	if !bytes.ContainsAny(cell, "\",\r\n") {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	for _, c := range cell {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
