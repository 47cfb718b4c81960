package transaction_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sluice/internal/transaction"
)

func TestArray(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"empty":             {` [ ] `, ""},
		"plain":             {`[{"account_id":"A","date":"2024-01-02","amount":-12.50,"is_revenue":true}]`, "0,A,2024-01-02,-12.50,true\n"},
		"any order, others": {`[{"x":[1,{"amount":5}],"amount":"7","date":"d","y":null,"account_id":7e3}]`, "0,7e3,d,7,\n"},
		"exact numbers":     {`[{"account_id":0,"amount":123456789012345678901234567890.10},{"amount":1e5}]`, "0,0,,123456789012345678901234567890.10,\n1,,,1e5,\n"},
		"null and absent":   {`[{"account_id":null,"is_revenue":null},{}]`, "0,,,,\n1,,,,\n"},
		"wrong types":       {`[{"account_id":true,"date":false,"amount":{"a":1},"is_revenue":[2]},{"account_id":["a"]}]`, "0,,false,{,[\n1,,,,\n"},
		"no objects":        {`[5,"x",null]`, "0,\"5,\"\"x\"\",null]\"\n1,\"\"\"x\"\",null]\"\n2,null]\n"},
		"a key twice":       {`[{"amount":1,"amount":2}]`, "0,,,2,,amount is given twice\n"},
		"quoted":            {`[{"account_id":"a,\"b\"\nc"}]`, "0,\"a,\"\"b\"\"\nc\",,,\n"},
		"escapes":           {`[{"account_id":"\u00e9\ud83d\ude00\/\\\b\f\t\u0041"}]`, "0,é😀/\\\b\f\tA,,,\n"},
		"half a pair":       {`[{"account_id":"\ud83dx"},{"account_id":"\ude00"},{"account_id":"\ud800\u0041"}]`, "0,\xffx,,,\n1,\xff,,,\n2,\xff,,,\n"},
		"no UTF-8":          {"[{\"account_id\":\"\xff\\u0000\"}]", "0,\xff\x00,,,\n"},
		"escaped key":       {`[{"\u0061mount":3}]`, "0,,,3,\n"},
	} {
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			rows := transaction.NewArray(src, 0)
			got, err := io.ReadAll(rows)
			if name == "no objects" { // how much is shown of them depends on what has arrived
				if err != nil || rows.Count() != 3 {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
				continue
			}
			if string(got) != c.want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
			}
		}
	}
}

func TestArrayThatIsNone(t *testing.T) {
	t.Parallel()
	for in, offset := range map[string]int64{
		``: 0, `{}`: 0, `[`: 1, `[{}`: 3, `[{} {}]`: 4, `[{},]`: 4, `[{}]x`: 4, `[{"a"}]`: 5, `[{"a":}]`: 6, `[{"a":01}]`: 7, `[{"a":1.}]`: 8, `[{"a":-}]`: 7,
		`[{"a":"` + "\n" + `"}]`: 7, `[{"a":"\x"}]`: 7, `[{"a":"\u12g4"}]`: 7, `[{"a":"x`: 8, `[{"a":tru}]`: 9, `[{"a":nul`: 9, `[{a:1}]`: 2, `[{"a":1,}]`: 8, `[NaN]`: 1,
		`[` + strings.Repeat(`[`, 200): 102,
	} {
		_, err := io.ReadAll(transaction.NewArray(strings.NewReader(in), 0))
		syntax := (*transaction.SyntaxError)(nil)
		if !errors.As(err, &syntax) || syntax.Offset != offset {
			t.Errorf("%.40q: %v, want an error at byte %d", in, err, offset)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	const in = "{\"account_id\":\"A\",\"amount\":1}\r\n\n  \n{\"account_id\":\"B\" nonsense\n{\"amount\":2} x\n[{}]\n{\"account_id\":\"C\n\"amount\":3}\n{\"account_id\":\"D\",\"amount\":4}"
	const want = "0,A,,1,\n1,\"{\"\"account_id\"\":\"\"B\"\" nonsense\"\n2,\"{\"\"amount\"\":2} x\"\n3,[{}]\n4,\"{\"\"account_id\"\":\"\"C\"\n5,\"\"\"amount\"\":3}\"\n6,D,,4,\n"
	rows := transaction.NewLines(strings.NewReader(in), 0)
	got, err := io.ReadAll(rows)
	if string(got) != want || err != nil || rows.Count() != 7 {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// A value of any size takes no memory, and a stream that breaks off is told apart from JSON that ends too early.
func TestBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	got, err := io.ReadAll(transaction.NewArray(strings.NewReader(`[{"note":"`+long+`","account_id":"`+long+`"}]`), 0))
	if want := 1<<20 + 1 + len("0,,,,\n"); len(got) != want || err != nil {
		t.Errorf("%d bytes, %v, want %d: a text is cut behind 1 MiB", len(got), err, want)
	}
	if _, err := io.ReadAll(transaction.NewArray(strings.NewReader(`[{},{},{}]`), 2)); !errors.Is(err, transaction.ErrTooMany) {
		t.Errorf("three of two: %v", err)
	}
	if got, err := io.ReadAll(transaction.NewArray(strings.NewReader(`[{},{}]`), 2)); err != nil {
		t.Errorf("two of two: %q, %v", got, err)
	}
	broken := errors.New("the line broke")
	for _, open := range []func(io.Reader, int64) *transaction.Rows{transaction.NewArray, transaction.NewLines} {
		for _, in := range []string{``, `[`, `[{"a`, `[{"account_id":"\u12`, `[{"amount":12`, `{"amount":1`} {
			_, err := io.ReadAll(open(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), 0))
			if syntax := (*transaction.SyntaxError)(nil); !errors.Is(err, broken) && (!errors.As(err, &syntax) || !strings.HasPrefix(in, "{")) {
				t.Errorf("%q: %v, want the source's error", in, err)
			}
		}
	}
}

// Rows of a batch begin with its number, be that known only when they have been read.
func TestNumbered(t *testing.T) {
	t.Parallel()
	const in, want = `[{"account_id":"a\nb"},5,{"amount":1}]`, "7,0,\"a\nb\",,,\n7,1,5\n7,2,,,1,\n"
	got, err := io.ReadAll(transaction.NewArray(strings.NewReader(in), 0).Numbered(7))
	if err != nil || !strings.HasPrefix(string(got), "7,0,\"a\nb\",,,\n7,1,") || !strings.HasSuffix(string(got), "\n7,2,,,1,\n") {
		t.Errorf("got %q, %v, want about %q", got, err, want)
	}
	held, err := transaction.NewArray(strings.NewReader(in), 3).Hold(len(got) - 3*len("7,"))
	if err != nil {
		t.Fatal(err)
	}
	if later, err := io.ReadAll(held.Numbered(7)); string(later) != string(got) || err != nil {
		t.Errorf("held: %q, %v, want %q", later, err, got)
	}
	if _, err := transaction.NewArray(strings.NewReader(in), 0).Hold(len(got) - 3*len("7,") - 1); !errors.Is(err, transaction.ErrTooLarge) {
		t.Errorf("a byte more than may be held: %v", err)
	}
	if _, err := transaction.NewArray(strings.NewReader(in), 2).Hold(1000); !errors.Is(err, transaction.ErrTooMany) {
		t.Errorf("three of two: %v", err)
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	b := transaction.NewBody(strings.NewReader(` {"a": {"x":[1, "}"]} ,"data":[{"amount":1},{}],"skip":[[]],"n":3 } `))
	read := func(want string) {
		t.Helper()
		if key, err := b.Next(); key != want || err != nil {
			t.Fatalf("got %q, %v, want %q", key, err, want)
		}
	}
	read("a")
	if text, err := b.Text(100); string(text) != `{"x":[1, "}"]}` || err != nil {
		t.Errorf("text: %q, %v", text, err)
	}
	read("data")
	if rows, err := io.ReadAll(b.Rows(0)); string(rows) != "0,,,1,\n1,,,,\n" || err != nil {
		t.Errorf("rows: %q, %v", rows, err)
	}
	read("skip")
	if err := b.Skip(); err != nil {
		t.Error(err)
	}
	read("n")
	if _, err := b.Text(0); !errors.Is(err, transaction.ErrTooLong) {
		t.Errorf("text of 1 byte where none may be: %v", err)
	}
	if _, err := b.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
	if _, err := transaction.NewBody(strings.NewReader(`{}{}`)).Next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("something behind the object: %v", err)
	}
}

// What encoding/json takes this takes, with the same texts, and nothing else, but for depth.
func FuzzArray(f *testing.F) {
	for _, seed := range []string{`[{"account_id":"a\u00e9","amount":1.5e3,"date":null}]`, `[1,[],{"a":{}}]`, `[{"amount":"\ud83d\ude00"}]`, `[{"account_id":"`, "[{}]\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := io.ReadAll(transaction.NewArray(strings.NewReader(in), 0))
		var want []json.RawMessage
		valid := json.Unmarshal([]byte(in), &want) == nil && strings.HasPrefix(strings.TrimLeft(in, " \t\r\n"), "[")
		if syntax := (*transaction.SyntaxError)(nil); (err == nil) != valid && (!errors.As(err, &syntax) || !strings.Contains(syntax.Detail, "deep")) {
			t.Fatalf("%q: %v, encoding/json says %v", in, err, valid)
		}
		if err != nil {
			return
		}
		r := csv.NewReader(strings.NewReader(string(out)))
		r.FieldsPerRecord, r.LazyQuotes = -1, false
		rows, err := r.ReadAll()
		if err != nil || len(rows) != len(want) {
			t.Fatalf("%q: %d rows, %v, want %d: %q", in, len(rows), err, len(want), out)
		}
		for i, raw := range want {
			var object struct {
				Date *string `json:"date"`
			}
			if json.Unmarshal(raw, &object) != nil || object.Date == nil || strings.ContainsRune(*object.Date, '\uFFFD') || strings.Contains(*object.Date, "\r") || len(rows[i]) != 5 {
				continue // its CSV reader drops \r; encoding/json folds the case of keys
			}
			if strings.Contains(string(raw), `"date"`) && strings.Count(strings.ToLower(string(raw)), "date") == 1 && rows[i][2] != *object.Date {
				t.Errorf("%q: date %q, want %q", in, rows[i][2], *object.Date)
			}
		}
	})
}
