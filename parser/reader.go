// Package parser reads bank transactions out of CSV, exactly: every row is
// booked to the cent or rejected with a reason, and none is lost.
//
// It finds the delimiter, the header and the columns by itself, or takes them
// from a Config. It reads UTF-8 as a stream, in memory that does not grow with
// the file. It knows nothing of compression, of other encodings, of currencies
// beyond their number of decimals, nor of what becomes of the records; and it
// needs the standard library alone.
package parser

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
)

// Reader reads the transactions of one file. It is for one goroutine, which may
// ask Each for more.
type Reader struct {
	// OnReject is called for each rejected row, in order, from within Read, and
	// so before the records of the same batch are seen. Its error ends the
	// reading. Set it before the first Read or Each; nil drops rejects, which
	// are counted all the same.
	OnReject func(*Reject) error

	cfg     Config
	dialect dialect
	scan    *scanner
	values  values
	reject  Reject
	torn    fields // of reject
	err     error  // what every further Read returns
	whole   bool   // err is the end of a file that was read whole; another error may wrap io.EOF too

	mu    sync.Mutex // guards stats, which the goroutines of Each share
	stats Stats
}

// Layout is what a Reader understood of its file.
type Layout struct {
	Delimiter          byte
	Header             []string       // names as written but for blanks around them; nil where there is no header
	HeaderLine         int64          // 1-based; 0 where there is no header
	Columns            map[Column]int // 1-based positions of those found
	DateFormat         string         // in the tokens of Config.DateFormat
	DecimalSeparator   byte           // '.' or ','
	ThousandsSeparator byte           // 0 = none
	AmountForm         string         // an amount as the file writes it, such as "-1.234,56" or "(€ 1,234.56)"; for people
	Direction          *Direction     // what gives unsigned amounts their sign, by position; nil = no column does
}

// Stats counts what was read so far. Accepted and Rejected together are all
// records after the header.
type Stats struct {
	Accepted, Rejected int64
	ByReason           map[Reason]int64 // of the rejected; the caller's own
	Bytes              int64            // of the stream, up to the last record read
	Lines              int64            // line feeds in them
}

// NewReader reads the head of src, up to 1 MiB, and finds out how the file is
// laid out. What the file cannot be taken for is a *FileError, a setting that
// is wrong a *ConfigError; an error of src comes wrapped. Maps and slices in
// cfg stay the caller's and must not change while the Reader is in use.
func NewReader(src io.Reader, cfg Config) (*Reader, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.BlockBytes == 0 {
		cfg.BlockBytes = defaultBlockBytes
	}
	h, err := readHead(src)
	if err != nil {
		return nil, err
	}
	d, err := sniff(&h, &cfg, newMatcher(&cfg))
	if err != nil {
		return nil, err
	}
	cfg.Direction = sniffDirection(&h, &cfg, &d)
	if cfg.Ragged {
		d.loosen()
	}
	form, err := sniffDateForm(&h, &cfg, &d)
	if err != nil {
		return nil, err
	}
	amounts := sniffAmountForm(&h, &cfg, &d)
	if h.whole {
		cfg.BlockBytes = min(cfg.BlockBytes, len(h.data)+1) // a small file needs no large buffer
	}
	rest := h.lineFeeds(io.MultiReader(bytes.NewReader(h.data[d.offset-h.offset:]), src), d.delimiter)
	scan := newScanner(rest, d.delimiter, cfg.BlockBytes, d.offset, d.lines)
	scan.fields.guarded = d.guarded
	return &Reader{
		cfg: cfg, dialect: d, scan: scan,
		values: newValues(&cfg, &d, form, amounts),
		torn:   fields{delimiter: d.delimiter, guarded: d.guarded},
		stats:  Stats{ByReason: map[Reason]int64{}, Bytes: d.offset, Lines: d.lines},
	}, nil
}

// Read fills dst with the next records and returns how many. It returns fewer
// than len(dst) when the next would need another block of the source, so what
// is in dst shares one block and is valid until the next call. Like an
// io.Reader it may return records together with an error: io.EOF at the end; a
// *FileError where the file ends in an open quote, has rows but no valid one,
// or has more rejects than Config.OnError grants; the error of the source or
// of OnReject, wrapped. Further calls return that error again.
func (r *Reader) Read(dst []Record) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	counted := 0
	for r.err == nil {
		n += r.values.quick(r.scan, &r.dialect, dst[n:])
		if n == len(dst) {
			break
		}
		ok, err := r.scan.next()
		if err != nil {
			r.err = unterminated(r.scan)
			break
		}
		if !ok {
			if n > 0 {
				break
			}
			r.fill()
			continue
		}
		fault, at := r.values.book(r.scan, &r.dialect, &dst[n])
		if fault == "" {
			n++
			continue
		}
		r.add(r.tally(n - counted))
		counted = n
		r.err = r.rejectRow(r.scan.buf, newRejected(r.scan, fault, at, tally{}))
	}
	r.add(r.tally(n - counted))
	return n, r.err
}

// tally is that of so many accepted rows, up to where the scanner has come.
func (r *Reader) tally(accepted int) tally {
	return tally{int64(accepted), r.scan.offset(), r.scan.lines}
}

func (r *Reader) add(t tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Accepted += t.accepted
	r.stats.Bytes, r.stats.Lines = t.bytes, t.lines
}

// All reads the file record by record. A *Record is valid until the next one;
// the last pair holds the error, if there was one, and a nil Record.
func (r *Reader) All() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		batch := make([]Record, 256)
		for {
			n, err := r.Read(batch)
			for i := range batch[:n] {
				if !yield(&batch[i], nil) {
					return
				}
			}
			if err != nil {
				if !r.whole {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// Layout returns what was understood; its slice and map are the caller's.
func (r *Reader) Layout() Layout {
	l := Layout{
		Delimiter: r.dialect.delimiter, Header: append([]string(nil), r.dialect.header...), HeaderLine: r.dialect.line,
		Columns: map[Column]int{}, DateFormat: r.values.dates.form.text,
		DecimalSeparator: r.values.form.decimal, ThousandsSeparator: r.values.form.thousands, AmountForm: r.values.form.String(),
	}
	if p, ok := r.dialect.columns[direction]; ok {
		l.Direction = &Direction{
			Column: Ref{Position: p.position}, Credit: slices.Clone(r.cfg.Direction.Credit), Debit: slices.Clone(r.cfg.Direction.Debit),
		}
	}
	for c, p := range r.dialect.columns {
		if c != direction {
			l.Columns[c] = p.position
		}
	}
	return l
}

// Stats returns the counts so far.
func (r *Reader) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.ByReason = maps.Clone(s.ByReason)
	return s
}

// rejectRow counts a row that is in buf, hands it over and applies the policy.
func (r *Reader) rejectRow(buf []byte, row rejected) error {
	r.mu.Lock()
	r.stats.Rejected++
	r.stats.ByReason[row.fault]++
	count := r.stats.Rejected
	r.mu.Unlock()
	if r.OnReject != nil {
		r.describe(buf, row)
		if err := r.OnReject(&r.reject); err != nil {
			return fmt.Errorf("hand over reject: %w", err)
		}
	}
	if limit := r.cfg.OnError.rowLimit(); limit >= 0 && count > limit {
		return fileErrorf(TooManyRejects, row.line, "line %d is reject number %d; on_error grants %d", row.line, count, limit)
	}
	return nil
}

// name is what the file calls a column, given from 0.
func (d *dialect) name(at int) string {
	if at < len(d.header) && d.header[at] != "" {
		return shown([]byte(d.header[at]))
	}
	for c, p := range d.columns {
		if p.position == at+1 {
			return string(c)
		}
	}
	return fmt.Sprintf("column %d", at+1)
}

// fill gets the next block, or ends the reading.
func (r *Reader) fill() {
	if r.scan.fill() != nil {
		r.err = r.ending(r.scan)
	}
}

// ending is how a file ends whose source has ended.
func (r *Reader) ending(s *scanner) error {
	if s.eof {
		fault := r.verdict()
		if r.whole = fault == nil; r.whole {
			return io.EOF
		}
		return fault
	}
	return fmt.Errorf("read source: %w", s.err)
}

// verdict is what is wrong with a file that was read to its end, or nil.
func (r *Reader) verdict() error {
	rows := r.stats.Accepted + r.stats.Rejected
	most := r.cfg.OnError.MaxRatio
	switch {
	case rows > 0 && r.stats.Accepted == 0:
		return fileErrorf(NoValidRows, 0, "none of the %d rows is valid%s", rows, r.dialect.hints)
	case most != nil && rows > 0 && float64(r.stats.Rejected)/float64(rows) > *most:
		return fileErrorf(TooManyRejects, 0, "%d of %d rows are rejected; on_error grants a share of %g", r.stats.Rejected, rows, *most)
	}
	return nil
}

// rowLimit is how many rejects are granted; -1 = any number.
func (o *OnError) rowLimit() int64 {
	switch {
	case o.MaxRows != nil:
		return *o.MaxRows
	case o.Mode == Abort && o.MaxRatio == nil:
		return 0
	}
	return -1
}
