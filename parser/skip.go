package parser

// skipper finds the end of a record that is too long to keep, by the same
// rules as fields.split but a byte at a time and in constant memory.
type skipper struct {
	on    bool
	state skipState
	open  int64 // line of the last quote that opened a field
}

type skipState uint8

const (
	atField    skipState = iota // before a field's first byte
	inBare                      // in an unquoted field, or past a closing quote's text
	inQuotes                    // in a quoted field
	afterQuote                  // past a quote in a quoted field: its end, or half of a doubled one
)

// skipRecord moves past the record that skip is in, as far as the buffer goes,
// and reports whether its end was reached.
func (s *scanner) skipRecord() (bool, error) {
	if s.skipTo(s.end) {
		return true, nil
	}
	if s.eof && s.skip.state == inQuotes {
		s.record.line = s.skip.open
		return false, errUnterminated
	}
	return false, nil
}

// skipTo is skipRecord as far as buf[end].
func (s *scanner) skipTo(end int) bool {
	for s.pos < end && s.skip.on {
		c := s.buf[s.pos]
		s.pos++
		s.skip.on = !s.skip.step(c, s.fields.delimiter, s.lines+1)
		if c == '\n' {
			s.lines++
		}
	}
	return !s.skip.on
}

// step takes one byte on the given line and reports whether it ends the record.
func (k *skipper) step(c, delimiter byte, line int64) bool {
	switch {
	case c == '"' && k.state == atField:
		k.state, k.open = inQuotes, line
	case c == '"' && k.state == inQuotes:
		k.state = afterQuote
	case c == '"' && k.state == afterQuote:
		k.state = inQuotes
	case k.state == inQuotes:
	case c == '\n':
		return true
	case c == delimiter:
		k.state = atField
	default:
		k.state = inBare
	}
	return false
}
