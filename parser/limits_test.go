package parser_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"sluice/parser"
)

// Records about the limits, at a block smaller and one larger than they are;
// then with an open quote after them.
func TestLimits(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	x := strings.Repeat("x", mib)
	last := "z,2024-01-01,1,\n"
	for name, test := range map[string]struct{ row, want string }{
		"field":             {x + ",2024-01-01,1,\n", x + " 19723 100 true"},
		"quoted field":      {"\"" + x[2:] + "\",2024-01-01,1,\r\n", x[2:] + " 19723 100 true"},
		"long field":        {"a,2024-01-01,1,x" + x + "\n", "field_too_long is_revenue: " + x[:63] + "…"},
		"long quoted field": {"a,2024-01-01,1,\"" + x[1:] + "\"\n", "field_too_long is_revenue: " + x[:63] + "…"},
		"record":            {strings.Repeat(x[1:]+",", 4) + "\r\n", "too_many_fields 5 fields where the header has 4"},
		"long record":       {strings.Repeat(x[1:]+",", 4) + "y\r\n", "record_too_long row over 4194304 bytes, cut"},
		"longer":            {strings.Repeat(x, 6) + "\n", "record_too_long row over 4194304 bytes, cut"},
		"quoted lines":      {strings.Repeat("\""+x+"\"\"\n\",", 5) + "\"\"\n", "record_too_long row over 4194304 bytes, cut"},
		"many fields":       {strings.Repeat(",", mib) + "\n", "too_many_fields 1048577 fields where the header has 4"},
	} {
		for _, block := range []int{1 << 10, 8 * mib} {
			cfg := config(t, "")
			cfg.BlockBytes = block
			rows, err := outcome(t, header+test.row+last, cfg)
			if err != nil || len(rows) != 2 || rows[0] != test.want || rows[1] != "z 19723 100 true" {
				t.Errorf("%s, blocks of %d: %d rows, %.80q, %v; want %.80q", name, block, len(rows), rows, err, test.want)
			}
			rows, err = outcome(t, header+test.row+"\n\""+strings.Repeat(x, 5), cfg)
			line := fmt.Sprintf("line %d ", 3+strings.Count(test.row, "\n"))
			if code(err) != parser.UnterminatedQuote || !strings.Contains(err.Error(), line) || len(rows) != 2 {
				t.Errorf("%s, open quote, blocks of %d: %d rows, %v; want %s", name, block, len(rows), err, line)
			}
		}
	}
}

// A row that is cut says so and hands over no more than the limits.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]struct {
		fields    int
		truncated bool
	}{
		strings.Repeat("x", 5<<20):   {1, true},
		strings.Repeat(",", 20_000):  {16_384, true},
		strings.Repeat(",", 16_383):  {16_384, false},
		"a,b":                        {2, false},
		strings.Repeat("\"\",", 1e5): {16_384, true},
	} {
		r, err := parser.NewReader(strings.NewReader(header+row), config(t, ""))
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		r.OnReject = func(reject *parser.Reject) error {
			calls++
			if len(reject.Fields) != want.fields || reject.Truncated != want.truncated {
				t.Errorf("%.10q: %d fields, truncated %t; want %+v", row, len(reject.Fields), reject.Truncated, want)
			}
			return nil
		}
		if _, err := r.Read(make([]parser.Record, 1)); code(err) != parser.NoValidRows || calls != 1 {
			t.Errorf("%.10q: %v after %d rejects", row, err, calls)
		}
	}
}

// A record of nothing but delimiters or lines takes no more memory than its text: where
// they are is not kept for each of them. It is alone, for what all goroutines allocate
// is counted.
func TestPlacesTakeNoMemory(t *testing.T) {
	const most = 96 << 20 // allocated in all; with all places kept it was 143 to 209 MiB
	for _, c := range []struct {
		name, begin, fill, end string
		workers                int
	}{{"fields", "", ",", "", 1}, {"fields", "", ",", "", 2}, {"lines", `"`, "\n", `"`, 1}} {
		r, err := parser.NewReader(io.MultiReader(strings.NewReader(header+"a,2024-01-01,1,\n"+c.begin), strings.NewReader(strings.Repeat(c.fill, 32<<20)), strings.NewReader(c.end+"\nz,2024-01-01,1,\n")), config(t, ""))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = r.Each(c.workers, func(int, []parser.Record) error { return nil })
		runtime.ReadMemStats(&after)
		if got := r.Stats(); err != nil || got.Accepted != 2 || got.ByReason[parser.RecordTooLong] != 1 {
			t.Errorf("%s, %d goroutines: %+v, %v", c.name, c.workers, got, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
			t.Errorf("%s, %d goroutines: %d MiB were allocated, want at most %d", c.name, c.workers, allocated>>20, most>>20)
		}
	}
}
