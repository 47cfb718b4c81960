package pipeline_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// benchFile is a generated file of transactions: over two years, a tenth of the
// texts quoted, with commas and quotes in them, and one in 250 with a line feed
// after which it looks like a record.
type benchFile struct {
	name           string
	rows, accounts int
	sorted         bool // by account and date
}

const (
	benchDays   = 730
	benchHeader = "account_id,date,amount,is_revenue,description\n"
)

// benchRow is what a row says.
type benchRow struct {
	account uint64
	day     uint64 // of benchDates
	cents   int64
	revenue bool
}

// benchDates are the days as files have them.
func benchDates() []string {
	dates := make([]string, benchDays)
	for i := range dates {
		dates[i] = benchDay(i).Format(time.DateOnly)
	}
	return dates
}

func benchDay(i int) time.Time { return time.Date(2024, 1, 1+i, 0, 0, 0, 0, time.UTC) }

// path returns the file, made if it is not there. A row is a function of its
// number alone, so it is the same on every machine.
func (f benchFile) path(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("v1-%d-%d-%v.csv", f.rows, f.accounts, f.sorted))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := os.Create(path + ".part")
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	_, err = w.WriteString(benchHeader)
	dates := benchDates()
	var text []byte
	for i := 0; i < f.rows && err == nil; i++ {
		text, _ = f.appendRow(text[:0], i, dates)
		_, err = w.Write(text)
	}
	if err := errors.Join(err, w.Flush(), out.Close(), os.Rename(path+".part", path)); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f benchFile) appendRow(b []byte, i int, dates []string) ([]byte, benchRow) {
	random := mixed(uint64(i))
	draw := func(n uint64) uint64 {
		random = mixed(random)
		return random % n
	}
	row := benchRow{account: draw(uint64(f.accounts)), day: draw(benchDays)}
	if f.sorted {
		row.account = uint64(i) * uint64(f.accounts) / uint64(f.rows)
		first := (row.account*uint64(f.rows) + uint64(f.accounts) - 1) / uint64(f.accounts)
		row.day = (uint64(i) - first) * benchDays / (uint64(f.rows)/uint64(f.accounts) + 1)
	}
	row.cents = int64(draw(1_000_001)) - 500_000
	row.revenue = draw(4) == 0
	b = appendBenchID(b, row.account)
	b = append(append(append(b, ','), dates[row.day]...), ',')
	cents := row.cents
	if cents < 0 {
		b, cents = append(b, '-'), -cents
	}
	b = strconv.AppendInt(b, cents/100, 10)
	b = append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10), ',')
	b = append(strconv.AppendBool(b, row.revenue), ',')
	return append(appendText(b, draw), '\n'), row
}

func appendBenchID(b []byte, account uint64) []byte {
	return strconv.AppendUint(append(b, "ACC"...), 1_000_000+account*7919, 10)
}

func appendText(b []byte, draw func(n uint64) uint64) []byte {
	words := [...]string{
		"CARD PURCHASE", "ACH DEPOSIT", "WIRE IN", "PAYOUT", "PAYROLL", "RENT", "UTILITIES", "MARKET", "FEE", "REFUND", "TRANSFER", "CHECK", "Café Zoë",
	}
	first, second, number := words[draw(uint64(len(words)))], words[draw(uint64(len(words)))], draw(1<<20)
	if draw(10) > 0 {
		return strconv.AppendUint(append(append(append(append(b, first...), ' '), second...), " #"...), number, 10)
	}
	b = append(append(append(append(b, '"'), first...), ", "...), second...)
	switch kind := draw(25); {
	case kind == 0:
		b = append(b, "\nACC1000000,2024-01-01,1.00,true,x "...)
	case kind < 10:
		b = append(b, ` ""ref"" `...)
	}
	return append(strconv.AppendUint(b, number, 10), '"')
}

// mixed is the output function of SplitMix64.
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
