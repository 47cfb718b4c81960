package parser

// rejected is a row on its way to being a Reject: where it is and what is wrong
// with it. Its fields are cut once more when it is handed over.
type rejected struct {
	record
	at    int // the field at fault, from 0; -1 = none
	tally     // up to it, where it is handed over later
}

// newRejected takes the record that s found last.
func newRejected(s *scanner, fault Reason, at int, t tally) rejected {
	r := rejected{record: s.record, at: at, tally: t}
	r.fault = fault
	return r
}

// describe makes r.reject of a row in buf.
func (r *Reader) describe(buf []byte, row rejected) {
	f := &r.torn
	f.forget()
	f.split(buf[row.lo:row.hi])
	r.reject = Reject{
		Line: row.line, Offset: row.offset, Reason: row.fault, Fields: r.reject.Fields[:0],
		Truncated: row.fault == RecordTooLong || f.count > len(f.spans), got: f.count, want: r.dialect.width,
	}
	for i := range f.spans {
		r.reject.Fields = append(r.reject.Fields, f.value(i))
	}
	switch {
	case row.at >= 0:
		r.reject.Column, r.reject.Value = r.dialect.name(row.at), shown(r.reject.Fields[row.at])
	case row.fault == BareQuote || row.fault == FieldTooLong:
		worst := f.worst(row.fault)
		r.reject.Column, r.reject.Value = r.dialect.name(worst), shown(r.reject.Fields[worst])
	}
}

// worst finds the field that breaks the shape of its row.
func (f *fields) worst(fault Reason) (at int) {
	for i, s := range f.spans {
		if fault == BareQuote && s.bare {
			return i
		}
		if fault == FieldTooLong && s.hi-s.lo > f.spans[at].hi-f.spans[at].lo {
			at = i
		}
	}
	return at
}
