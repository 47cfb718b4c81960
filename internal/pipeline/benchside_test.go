package pipeline_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/money"
	"sluice/internal/pipeline"
)

// What tells the test binary that it is one of the programs that
// TestBenchParse measures, on what file, and with what budget.
const (
	benchSideEnv   = "SLUICE_BENCH_SIDE"
	benchFileEnv   = "SLUICE_BENCH_FILE"
	benchBudgetEnv = "SLUICE_BENCH_BUDGET"
)

func TestMain(m *testing.M) {
	side := os.Getenv(benchSideEnv)
	if side == "" {
		os.Exit(m.Run())
	}
	sides := map[string]func(ctx context.Context, path string, out io.Writer) error{"sum": benchSum, "dump": benchDump, "csv": benchCSV, "long": longSide}
	if err := sides[side](context.Background(), os.Getenv(benchFileEnv), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// benchGroups yields the sums of a file by the code that the product runs.
func benchGroups(ctx context.Context, path string, yield func(id string, day int32, total, revenue money.Int, count int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	settings, err := pipeline.ParseSettings("", "", "")
	if err != nil {
		return err
	}
	budget, _ := strconv.ParseInt(os.Getenv(benchBudgetEnv), 10, 64)
	sums, err := pipeline.Sum(ctx, pipeline.Input{Source: f, Settings: settings, ReferenceDay: endOfTime, MemoryBytes: budget})
	if err != nil {
		return err
	}
	defer sums.Close()
	for a, err := range sums.Accounts() {
		if err != nil {
			return err
		}
		for i := range a.Days {
			d := &a.Days[i]
			if err := yield(a.ID, d.Day, d.Total, d.Revenue, d.Count); err != nil {
				return err
			}
		}
	}
	return nil
}

func benchSum(ctx context.Context, path string, out io.Writer) error {
	var groups, rows int64
	var total, revenue money.Int
	err := benchGroups(ctx, path, func(_ string, _ int32, t, r money.Int, count int64) error {
		groups, rows, total, revenue = groups+1, rows+count, total.Add(t), revenue.Add(r)
		return nil
	})
	fmt.Fprintf(out, "%d %s %s %d\n", groups, total.AppendDecimal(nil, 2), revenue.AppendDecimal(nil, 2), rows)
	return err
}

func benchDump(ctx context.Context, path string, out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<20)
	var line []byte
	err := benchGroups(ctx, path, func(id string, day int32, t, r money.Int, count int64) error {
		line = append(append(line[:0], id...), ',')
		line = append(time.Unix(int64(day)*86_400, 0).UTC().AppendFormat(line, time.DateOnly), ',')
		line = append(r.AppendDecimal(append(t.AppendDecimal(line, 2), ','), 2), ',')
		_, err := w.Write(append(strconv.AppendInt(line, count, 10), '\n'))
		return err
	})
	return errors.Join(err, w.Flush())
}

// benchCSV is what one writes first: encoding/csv, a map, and no more checks
// than these need.
func benchCSV(_ context.Context, path string, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	type group struct{ account, date string }
	type sums struct{ total, revenue, rows int64 }
	groups := map[group]*sums{}
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	r.ReuseRecord = true
	if _, err := r.Read(); err != nil {
		return err
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		cents, err := strconv.ParseInt(strings.Replace(fields[2], ".", "", 1), 10, 64)
		if err != nil {
			return err
		}
		g := groups[group{fields[0], fields[1]}]
		if g == nil {
			g = &sums{}
			groups[group{strings.Clone(fields[0]), strings.Clone(fields[1])}] = g
		}
		g.total, g.rows = g.total+cents, g.rows+1
		if fields[3] == "true" {
			g.revenue += cents
		}
	}
	total, revenue, rows := new(big.Int), new(big.Int), int64(0)
	for _, g := range groups {
		total.Add(total, big.NewInt(g.total))
		revenue.Add(revenue, big.NewInt(g.revenue))
		rows += g.rows
	}
	t, _ := money.FromBig(total)
	v, _ := money.FromBig(revenue)
	fmt.Fprintf(out, "%d %s %s %d\n", len(groups), t.AppendDecimal(nil, 2), v.AppendDecimal(nil, 2), rows)
	return nil
}
