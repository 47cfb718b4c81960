package main_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// hugeFile is a file of transactions that is made while it is read, so it may be
// larger than memory and disk. A row is a function of its number alone; what was
// read is summed on its way.
type hugeFile struct {
	rows int64

	next  int64  // the row to be made
	ahead []byte // made and not yet read
	at    int    // in ahead
	dates [hugeDays]string
	cells [hugeAccounts * hugeDays]struct{ cents, count int64 }
}

const (
	hugeHeader   = "account_id,date,amount,description\n"
	hugeRow      = 64 // bytes of a row
	hugeAccounts = 10_000
	hugeDays     = 365
)

// newHugeFile has about so many bytes.
func newHugeFile(bytes int64) *hugeFile {
	f := &hugeFile{rows: bytes / hugeRow, ahead: []byte(hugeHeader)}
	for day := range f.dates {
		f.dates[day] = time.Date(2024, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	return f
}

func (f *hugeFile) size() int64 { return int64(len(hugeHeader)) + f.rows*hugeRow }

func (f *hugeFile) Read(p []byte) (int, error) {
	if f.at == len(f.ahead) {
		f.ahead, f.at = f.ahead[:0], 0
		for len(f.ahead) < 1<<18 && f.next < f.rows {
			f.ahead = f.appendRow(f.ahead)
		}
	}
	n := copy(p, f.ahead[f.at:])
	if f.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// appendRow makes a row and books it.
func (f *hugeFile) appendRow(b []byte) []byte {
	const text = "CARD PURCHASE, COFFEE AND MORE COFFEE" // cut to the row's width
	random := mixed(uint64(f.next))
	account, day := int(random%hugeAccounts), int(random>>16%hugeDays)
	cents := int64(random>>28%900_000) + 100_000 // as wide in each row
	cell, end := &f.cells[account*hugeDays+day], len(b)+hugeRow
	b = append(b, "ACC"...)
	b = strconv.AppendInt(b, int64(100_000+account), 10)
	b = append(append(append(b, ','), f.dates[day]...), ',')
	signed := cents
	if random>>60 < 5 {
		b, signed = append(b, '-'), -cents
	}
	b = strconv.AppendInt(b, cents/100, 10)
	b = append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10), ',', '"')
	b = append(append(b, text[:end-len(b)-2]...), '"', '\n')
	cell.cents += signed
	cell.count++
	f.next++
	return b
}

// mixed is the output function of SplitMix64.
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// compare compares aggregates, as CSV by account and date, with what was read of
// the file.
func (f *hugeFile) compare(aggregates io.Reader) error {
	rows := csv.NewReader(aggregates)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	for i := range f.cells {
		cell := f.cells[i]
		if cell.count == 0 {
			continue
		}
		got, err := rows.Read()
		if err != nil {
			return fmt.Errorf("read aggregates: %w", err)
		}
		has := fmt.Sprintf("%s on %s: %s in %s", got[at["account_id"]], got[at["date"]], got[at["total_amount"]], got[at["transaction_count"]])
		want := fmt.Sprintf("ACC%d on %s: %s in %d", 100_000+i/hugeDays, f.dates[i%hugeDays], amount(cell.cents), cell.count)
		if has != want {
			return fmt.Errorf("sum %q, want %q", has, want)
		}
	}
	if _, err := rows.Read(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more sums than the file has (%w)", err)
	}
	return nil
}

func amount(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}
