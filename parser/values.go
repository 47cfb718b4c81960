package parser

import "bytes"

// values turns the fields of a record into what they mean. Columns are given
// from 0; -1 = the file has none.
type values struct {
	form   amountForm
	dates  dates
	months months
	iso    bool // dates are, so that months may be asked first
	cents  bool // amounts are plain, so that cents may be asked first
	simple bool // each value has one column, so that quick may be asked first

	constant  []byte // account of every row, where there is no column
	account   int
	date      int
	amount    int
	debit     int
	credit    int
	direction int
	revenue   int

	creditWords, debitWords [][]byte // of direction
}

func newValues(cfg *Config, d *dialect, form dateForm, amounts amountForm) values {
	at := func(c Column) int { return d.columns[c].position - 1 }
	v := values{
		form:    amounts,
		dates:   dates{form: form},
		account: at(AccountID), date: at(Date), amount: at(Amount), debit: at(Debit), credit: at(Credit),
		direction: at(direction), revenue: at(IsRevenue),
	}
	if cfg.AccountID != "" && !cfg.NoAccount {
		v.constant = trim([]byte(cfg.AccountID))
	}
	if cfg.Direction != nil {
		v.creditWords, v.debitWords = byteWords(cfg.Direction.Credit), byteWords(cfg.Direction.Debit)
	}
	v.iso, v.cents = form.text == isoDate, v.direction < 0 && v.form.plainAmounts()
	v.simple = !d.guarded && v.constant == nil && v.account >= 0 && v.amount >= 0 && v.direction < 0
	return v
}

// book fills dst with the record that s found last, or says why it is rejected
// and which field is at fault, -1 being none.
func (v *values) book(s *scanner, d *dialect, dst *Record) (fault Reason, at int) {
	if s.record.fault != "" {
		return s.record.fault, -1
	}
	if fault = d.widthFault(s.fields.count); fault != "" {
		return fault, -1
	}
	dst.Line, dst.Offset = s.record.line, s.record.offset
	return v.read(&s.fields, dst)
}

// widthFault is what is wrong with a row of so many fields.
func (d *dialect) widthFault(count int) Reason {
	switch {
	case d.holds(count):
		return ""
	case count < d.width:
		return MissingField
	}
	return TooManyFields
}

// read fills dst from the fields, or says what is wrong with which.
func (v *values) read(f *fields, dst *Record) (fault Reason, at int) {
	dst.Account = v.constant
	if v.account >= 0 {
		dst.Account = trim(f.value(v.account))
		if len(dst.Account) == 0 {
			return EmptyField, v.account
		}
		if fault := checkText(dst.Account); fault != "" {
			return fault, v.account
		}
	}
	date := trim(f.value(v.date))
	if len(date) == 0 {
		return EmptyField, v.date
	}
	var ok bool
	if dst.Day, ok = v.day(date); !ok {
		return BadDate, v.date
	}
	if fault, at := v.readAmount(f, dst); fault != "" {
		return fault, at
	}
	return v.readRevenue(f, dst)
}

func (v *values) day(text []byte) (day int32, ok bool) {
	if v.iso {
		if day, ok = v.months.day(text); ok {
			return day, true
		}
	}
	return v.dates.parse(text)
}

func (v *values) readAmount(f *fields, dst *Record) (fault Reason, at int) {
	if v.amount < 0 {
		return v.readDebitCredit(f, dst)
	}
	debit := false
	if v.direction >= 0 {
		word := trim(f.value(v.direction))
		debit = isOneOf(word, v.debitWords)
		if !debit && !isOneOf(word, v.creditWords) {
			return BadDirection, v.direction
		}
	}
	text := trim(f.value(v.amount))
	if len(text) == 0 {
		return EmptyField, v.amount
	}
	if v.cents {
		if minor, ok := cents(text, v.form.decimal); ok {
			dst.Amount = minor
			return "", -1
		}
	}
	dst.Amount, fault = v.form.read(text, debit)
	return fault, v.amount
}

// readDebitCredit books credit less debit. One of them must be empty, or zero,
// which is how many banks write empty.
func (v *values) readDebitCredit(f *fields, dst *Record) (fault Reason, at int) {
	var debit, credit []byte
	if v.debit >= 0 {
		debit = trim(f.value(v.debit))
	}
	if v.credit >= 0 {
		credit = trim(f.value(v.credit))
	}
	if len(debit) == 0 && len(credit) == 0 {
		return EmptyField, max(v.debit, v.credit)
	}
	dst.Amount = 0
	if len(debit) > 0 {
		if dst.Amount, fault = v.form.read(debit, true); fault != "" {
			return fault, v.debit
		}
	}
	if len(credit) > 0 {
		amount, fault := v.form.read(credit, false)
		switch {
		case fault != "":
			return fault, v.credit
		case amount != 0 && dst.Amount != 0:
			return BadAmount, v.credit
		}
		dst.Amount += amount
	}
	return "", -1
}

// readRevenue takes the word of the row, else the sign of its amount.
func (v *values) readRevenue(f *fields, dst *Record) (fault Reason, at int) {
	dst.Revenue = dst.Amount > 0
	if v.revenue < 0 {
		return "", -1
	}
	word := trim(f.value(v.revenue))
	if len(word) == 0 {
		return "", -1
	}
	var ok bool
	if dst.Revenue, ok = parseBool(word); !ok {
		return BadBool, v.revenue
	}
	return "", -1
}

// byteWords makes words ready for isOneOf, which must not allocate.
func byteWords(words []string) [][]byte {
	var list [][]byte
	for _, w := range words {
		list = append(list, []byte(w))
	}
	return list
}

func isOneOf(word []byte, words [][]byte) bool {
	for _, w := range words {
		if bytes.Equal(w, word) {
			return true
		}
	}
	return false
}
