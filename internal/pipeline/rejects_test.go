package pipeline_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"sluice/internal/pipeline"
	"sluice/parser"
)

func TestRejects(t *testing.T) {
	t.Parallel()
	file := lines(`id note;account_id;date;amount`,
		`1;A;2024-01-05;10.00`,
		`2;=1+1;2024-13-05;-10.00`,
		`"3; ""three""";B;2024-01-05;-1,50`,
		``,
		"\"4\nlines\";@B;2024-01-05;1.005",
		`=5;+C;2024-01-05`,
		`+6;-C;2024-01-05;1;2`,
		`-7-1;"`+"\t"+`C";2024-01-05;1e5`,
		`8;"`+"\r"+`C";2024-02-30;-`,
		`9;;2024-02-29;1`,
		`10;D"D";2024-02-29;1`)
	o := job{file: file, parse: `{"delimiter":";"}`}.run(t)
	if o.err != nil || o.Accepted != 1 || o.Rejected != 9 {
		t.Fatalf("%v, %d accepted, %d rejected", o.err, o.Accepted, o.Rejected)
	}
	want := strings.Join([]string{
		`line,reason,detail,id note,account_id,date,amount`,
		`3,bad_date,date: 2024-13-05,2,'=1+1,2024-13-05,-10.00`,
		`4,bad_amount,"amount: -1,50","3; ""three""",B,2024-01-05,"-1,50"`,
		"6,bad_amount,amount: 1.005,\"4\nlines\",'@B,2024-01-05,1.005",
		`8,missing_field,3 fields where the header has 4,'=5,'+C,2024-01-05`,
		`9,too_many_fields,5 fields where the header has 4,+6,'-C,2024-01-05,1,2`,
		"10,bad_amount,amount: 1e5,'-7-1,'\tC,2024-01-05,1e5",
		"11,bad_date,date: 2024-02-30,8,\"'\rC\",2024-02-30,'-",
		`12,empty_field,account_id is empty,9,,2024-02-29,1`,
		`13,bare_quote,"account_id: D""D""",10,"D""D""",2024-02-29,1`,
	}, "\n") + "\n"
	if o.rejects != want {
		t.Errorf("rejects:\n%s\nwant:\n%s", o.rejects, want)
	}
	rows := csv.NewReader(strings.NewReader(o.rejects))
	rows.FieldsPerRecord = -1
	if all, err := rows.ReadAll(); err != nil || len(all) != 10 || all[4][3] != "'=5" {
		t.Errorf("as another reader has it: %q, %v", all, err)
	}
}

// TestRejectsCanBeSentAgain mends what was rejected in the rejects themselves.
func TestRejectsCanBeSentAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, parse string }{
		"header":    {"when,amount,account_id\n2024-01-05,1.00,A\n2024-01-99,2.00,\"B,\"\"b\"\"\"\n", `{"columns":{"date":"when"}}`},
		"no header": {"2024-01-05,x,1.00,A\n2024-01-99,y,2.00,\"B,\"\"b\"\"\"\n", `{"has_header":false,"columns":{"account_id":4,"date":1,"amount":3}}`},
	} {
		o := job{file: []byte(c.file), parse: c.parse}.run(t)
		if o.err != nil || o.Rejected != 1 {
			t.Fatalf("%s: %v, %d rejects", name, o.err, o.Rejected)
		}
		again := job{file: []byte(strings.ReplaceAll(o.rejects, "2024-01-99", "2024-01-09"))}
		if name == "header" {
			again.parse = c.parse
		}
		if o := again.run(t); o.err != nil || o.sums() != `B,"b" 2024-01-09 200 200 1` {
			t.Errorf("%s: %v, %q", name, o.err, o.sums())
		}
	}
}

// hostileCells are what a spreadsheet runs, what looks like it, and what the apostrophe
// before it looks like.
var hostileCells = []string{
	"=1+1", "=", "==", "@SUM(1)", "@", "+1", "-1", "+1a", "-1a", "+", "-", "+-1", "--1", "-1.5", "+1,5", "+1e5", "\t=1", "\r=1", "\n=1", "\tA", "a\tb", "a\nb", "a\r\nb",
	"\uFF1D1", "\uFF0B1", "\uFF0D1", "\uFF201", "\uFF21", "=cmd|' /C calc'!A0", `=HYPERLINK("http://x","y")`, `"=1"`, `=""`, "=1;2", "=1,2", "=1|2", `D"D`,
	"'", "''", "'''", "'A", "''A", "'=1", "''=1", "'''=1", "'-1", "''-1", "'-1a", "'@", "'+", "'\t=", "'\n=", "'\uFF1D1", `'"=1"`, "'=", "=1'", "='1'", " =1", " '=1", "' =1", "A'=1", "'=1'",
	"\u2019=1", "`=1", "\u02bc=1", "\uFEFF=1", "line", "'line",
}

// TestRejectsGiveCellsBack: rejects that are mended and sent again, or only then mended
// and sent again, give the sums that the file would have given, whatever its cells hold.
func TestRejectsGiveCellsBack(t *testing.T) {
	t.Parallel()
	const bad, good = "2024-01-99", "2024-01-09"
	for _, cell := range hostileCells {
		quoted := `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		file := string(lines("account_id,date,amount,note", "A,2024-01-05,1.00,x", quoted+","+bad+",2.00,"+quoted))
		mended := func(text string) []byte { return []byte(strings.ReplaceAll(text, bad, good)) }
		want := job{file: mended(file)}.run(t)
		if want.err != nil || want.Accepted != 2 {
			t.Fatalf("%q: %v, %d accepted", cell, want.err, want.Accepted)
		}
		once := job{file: []byte(file)}.run(t).rejects + "1,,,A,2024-01-05,1.00,x\n" // for a file without a valid row fails
		twice := job{file: []byte(once)}.run(t).rejects + "1,,,1,,,A,2024-01-05,1.00,x\n"
		for _, rejects := range []string{once, twice} {
			if got := (job{file: mended(rejects)}).run(t); got.err != nil || got.sums() != want.sums() {
				t.Errorf("%q comes back as %q, want %q: %v\n%s", cell, got.sums(), want.sums(), got.err, rejects)
			}
		}
	}
}

// A name in the header comes back as well, and a file whose header begins otherwise
// keeps its apostrophes.
func TestGuardIsOfRejectsOnly(t *testing.T) {
	t.Parallel()
	parse := `{"columns":{"date":"=when"}}`
	first := job{file: lines("account_id,=when,amount", "A,2024-01-05,1.00", "=B,2024-01-99,2.00"), parse: parse}.run(t)
	again := job{file: []byte(strings.ReplaceAll(first.rejects, "01-99,2", "01-09,2")), parse: parse}.run(t)
	if !strings.HasPrefix(first.rejects, "line,reason,detail,account_id,'=when,amount\n") || again.sums() != "=B 2024-01-09 200 200 1" {
		t.Errorf("%v, %q\n%s", again.err, again.sums(), first.rejects)
	}
	other := job{file: lines("reason,line,detail,account_id,date,amount", "x,1,y,'=B,2024-01-09,2.00")}.run(t)
	if other.sums() != "'=B 2024-01-09 200 200 1" {
		t.Errorf("%v, %q", other.err, other.sums())
	}
}

func TestRejectsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 100)
	file := lines("account_id,date,amount",
		"A,2024-01-05,"+long,
		"A,2024-01-05,\""+strings.Repeat("x\n", 3<<20)+"\"",
		"A,2024-01-05"+strings.Repeat(",", 20_000),
		"A,2024-01-05,1")
	o := job{file: file}.run(t)
	if o.err != nil || o.Accepted != 1 || o.Rejected != 3 || o.ByReason[parser.RecordTooLong] != 1 {
		t.Fatalf("%v, %d accepted, rejects %v", o.err, o.Accepted, o.ByReason)
	}
	rows := csv.NewReader(strings.NewReader(o.rejects))
	rows.FieldsPerRecord = -1
	all, err := rows.ReadAll()
	if err != nil || len(all) != 4 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	if shown := strings.TrimPrefix(all[1][2], "amount: "); len([]rune(shown)) != 64 || all[1][5] != long {
		t.Errorf("a value of 100 letters is shown as %d, and kept as %d bytes", len([]rune(shown)), len(all[1][5]))
	}
	for _, row := range all[2:] {
		if !strings.Contains(row[2], "cut") {
			t.Errorf("a row that is cut does not say so: %s", row[2])
		}
	}
	if len(o.rejects) > 5<<20 {
		t.Errorf("%d bytes of rejects", len(o.rejects))
	}
}

func TestRejectsWithoutRejects(t *testing.T) {
	t.Parallel()
	if o := (job{file: []byte(plainCSV)}).run(t); o.rejects != "line,reason,detail,account_id,date,amount\n" {
		t.Errorf("rejects %q", o.rejects)
	}
}

// TestPolicy holds on_error, and that the rejects of a failed file can be read.
func TestPolicy(t *testing.T) {
	t.Parallel()
	file := lines("account_id,date,amount", "A,2024-01-05,1", "A,2024-01-05,x", "A,2024-01-05,2", "A,2024-01-05,y", "A,2024-01-05,3")
	for _, c := range []struct {
		parse, code string
		rejects     int
	}{
		{``, "", 2},
		{`{"on_error":{"mode":"continue"}}`, "", 2},
		{`{"on_error":{"mode":"abort"}}`, "too_many_rejects", 1},
		{`{"on_error":{"max_rows":2}}`, "", 2},
		{`{"on_error":{"max_rows":1}}`, "too_many_rejects", 2},
		{`{"on_error":{"max_rows":0}}`, "too_many_rejects", 1},
		{`{"on_error":{"max_ratio":0.4}}`, "", 2},
		{`{"on_error":{"max_ratio":0.39}}`, "too_many_rejects", 2},
	} {
		o := job{file: file, parse: c.parse}.run(t)
		if o.code() != c.code || o.Rejected != int64(c.rejects) || strings.Count(o.rejects, "\n") != 1+c.rejects {
			t.Errorf("%s: %q, %d rejected:\n%s", c.parse, o.code(), o.Rejected, o.rejects)
		}
	}
	o := job{file: lines("account_id,date,amount", "A,2024-01-05,x")}.run(t)
	if o.code() != "no_valid_rows" || strings.Count(o.rejects, "\n") != 2 || o.Rejected != 1 {
		t.Errorf("no valid row: %q, rejects %q", o.code(), o.rejects)
	}
}

var errFull = errors.New("disk full")

type full struct{ after int }

func (w *full) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestErrorOfASink holds that results which could not be written are no
// success, and no fault of the file's.
func TestErrorOfASink(t *testing.T) {
	t.Parallel()
	in := func() pipeline.Input {
		return job{file: []byte(plainCSV + strings.Repeat("C,2024-01-05,x\n", 10_000))}.input(t)
	}
	for name, sinks := range map[string]pipeline.Sinks{
		"rejects at once": {Rejects: &full{}}, "rejects later": {Rejects: &full{after: 400_000}},
		"aggregates at once": {Aggregates: &full{}}, "aggregates later": {Aggregates: &full{after: 500}},
	} {
		_, err := pipeline.Run(t.Context(), in(), sinks)
		if f := (*pipeline.Failure)(nil); !errors.Is(err, errFull) || errors.As(err, &f) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var out bytes.Buffer
	if _, err := pipeline.Run(t.Context(), in(), pipeline.Sinks{Rejects: &out}); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 10_001 {
		t.Errorf("with room: %v", err)
	}
}
