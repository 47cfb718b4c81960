package parser

// quick takes records off the index as long as they are what nearly all are:
// whole, and with values that have neither quotes nor blanks around them. It
// returns how many it put into dst. What it books, book would book likewise; the
// first record that it is not sure of it leaves there for book.
func (v *values) quick(s *scanner, d *dialect, dst []Record) (n int) {
	if !v.simple || s.skip.on {
		return 0
	}
	pos, lines, ends, inner := s.pos, s.lines, s.ends, s.inner
	for n < len(dst) && len(ends) >= d.width {
		row := ends[:d.width]
		end := int(row[len(row)-1] >> 1)
		if !isRow(row) || end-pos > maxFieldBytes || end >= s.end || !v.readQuick(s.buf[:end], pos, row, &dst[n]) {
			break
		}
		dst[n].Line, dst[n].Offset = lines+1, s.base+int64(pos)
		for len(inner) > 0 && int(inner[0]) < end {
			inner = inner[1:]
			lines++
		}
		pos, ends = end+1, ends[d.width:]
		lines++
		n++
	}
	s.pos, s.lines, s.ends, s.inner = pos, lines, ends, inner
	return n
}

// isRow reports whether the last of ends, and no other, ends a record.
func isRow(ends []uint32) bool {
	var early uint32
	last := len(ends) - 1
	for _, e := range ends[:last] {
		early |= e
	}
	return early&1 == 0 && ends[last]&1 == 1
}

// readQuick is read for the record from pos to the end of buf, a carriage return
// there being no part of it. False says nothing of the record.
func (v *values) readQuick(buf []byte, pos int, ends []uint32, dst *Record) (ok bool) {
	buf = trimCR(buf)
	account, date, amount := between(buf, pos, ends, v.account), between(buf, pos, ends, v.date), between(buf, pos, ends, v.amount)
	if !isBare(account) || !isBare(date) || !isBare(amount) || checkText(account) != "" {
		return false
	}
	dst.Account = account
	if dst.Day, ok = v.day(date); !ok {
		return false
	}
	if dst.Amount, ok = cents(amount, v.form.decimal); !ok || !v.cents {
		var fault Reason
		if dst.Amount, fault = v.form.read(amount, false); fault != "" {
			return false
		}
	}
	dst.Revenue = dst.Amount > 0
	if v.revenue < 0 {
		return true
	}
	if word := between(buf, pos, ends, v.revenue); len(word) > 0 {
		dst.Revenue, ok = parseBool(word)
	}
	return ok
}

// between returns field i of the record that begins at pos.
func between(buf []byte, pos int, ends []uint32, i int) []byte {
	if i > 0 {
		pos = int(ends[i-1]>>1) + 1
	}
	return buf[pos:min(int(ends[i]>>1), len(buf))]
}

// isBare reports whether b is no more than what stands between two delimiters.
func isBare(b []byte) bool {
	n := len(b)
	return n > 0 && b[0] > ' ' && b[0] != '"' && b[n-1] > ' '
}
