package main_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	hostileHeader = "account_id,date,amount,description\n"
	hostileRow    = "ACC1,2024-01-02,1.00,x\n"
)

// hostileFiles are made while they are read, but for those that are compressed.
func hostileFiles(t testing.TB) map[string]hostileFile {
	t.Helper()
	size := hostileCount(t, hostileBytesEnv, 64<<20)
	member := compressed(t, gzipWriter, hostileHeader, 1<<20)
	row, none := compressed(t, gzipWriter, hostileHeader+hostileRow, 0), compressed(t, gzipWriter, "", 0)
	files := map[string]hostileFile{
		"gzip bomb":             bomb("bad_compression", compressed(t, gzipWriter, hostileHeader, 4*size), 1),
		"gzip bomb in members":  bomb("bad_compression", member, 4*size>>20),
		"gzip bomb in gzip":     bomb("compressed", compressed(t, gzipWriter, string(compressed(t, gzipWriter, hostileHeader, size)), 0), 1),
		"zstd bomb":             bomb("bad_compression", compressed(t, zstdWriter, hostileHeader, 4*size), 1),
		"zstd bomb of a line":   bomb("bad_compression", compressed(t, zstdWriter, hostileHeader+strings.Repeat("x", 4<<20), 0), size>>20),
		"gzip of empty members": {rows: 1, size: int64(len(row)) + size/64*int64(len(none)), body: io.MultiReader(bytes.NewReader(row), repeated(none, size/64))},
	}
	for name, c := range map[string]struct {
		file         hostileFile
		begin, fills string
		end          string
	}{
		"a line":               {hostileFile{rows: 2, reason: "record_too_long"}, hostileHeader + hostileRow + "ACC1,2024-01-02,1.00,", "x", "\n" + hostileRow},
		"a line of fields":     {hostileFile{rows: 2, reason: "record_too_long"}, hostileHeader + hostileRow, ",", "\n" + hostileRow},
		"a line in quotes":     {hostileFile{rows: 2, reason: "record_too_long"}, hostileHeader + hostileRow + `ACC1,2024-01-02,1.00,"`, "x\n", "\"\n" + hostileRow},
		"a line of quotes":     {hostileFile{rows: 2, reason: "record_too_long"}, hostileHeader + hostileRow + `ACC1,2024-01-02,1.00,"`, `""`, "\"\n" + hostileRow},
		"nothing but a line":   {hostileFile{code: "missing_column"}, "", "x", ""},
		"an open quote":        {hostileFile{code: "unterminated_quote"}, hostileHeader + hostileRow + `"`, hostileRow, ""},
		"an open quote a line": {hostileFile{code: "unterminated_quote"}, hostileHeader + hostileRow + `"`, "x", ""},
	} {
		n := size / int64(len(c.fills))
		c.file.size = int64(len(c.begin)+len(c.end)) + n*int64(len(c.fills))
		c.file.body = io.MultiReader(strings.NewReader(c.begin), repeated([]byte(c.fills), n), strings.NewReader(c.end))
		files[name] = c.file
	}
	files["groups"] = manyGroups(hostileCount(t, hostileGroupsEnv, 300_000))
	files["rejects"] = manyRejects(hostileCount(t, hostileRejectsEnv, 300_000))
	return files
}

func gzipWriter(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func zstdWriter(w io.Writer) io.WriteCloser {
	z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) // no option is out of range
	return z
}

// compressed is the text, and rows of about so many bytes behind it.
func compressed(t testing.TB, by func(io.Writer) io.WriteCloser, text string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := by(&b)
	_, err := io.Copy(w, io.MultiReader(strings.NewReader(text), repeated([]byte(hostileRow), size/int64(len(hostileRow)))))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bomb(code string, member []byte, n int64) hostileFile {
	return hostileFile{code: code, size: n * int64(len(member)), body: repeated(member, n)}
}

// repeated is a text n times.
func repeated(text []byte, n int64) io.Reader {
	many := max(1, 1<<18/int64(len(text)))
	block := bytes.Repeat(text, int(many))
	return made(func(b []byte) []byte {
		whole := min(n, many)
		n -= whole
		return append(b, block[:whole*int64(len(text))]...)
	})
}

// made is what more appends until it appends nothing.
func made(more func([]byte) []byte) io.Reader { return &maker{more: more} }

type maker struct {
	more  func([]byte) []byte
	ahead []byte
	at    int
}

func (m *maker) Read(p []byte) (int, error) {
	if m.at == len(m.ahead) {
		m.ahead, m.at = m.more(m.ahead[:0]), 0
	}
	n := copy(p, m.ahead[m.at:])
	if m.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// manyGroups has one row of each account and day, about n, none near its neighbour.
func manyGroups(n int64) hostileFile {
	const days, stride = 365, 982_451_653 // a prime larger than any n
	n = n / days * days
	cents := func(group int64) int64 { return int64(mixed(uint64(group))%900_000) + 100_000 }
	date := func(group int64) string {
		return time.Date(2024, 1, 1+int(group%days), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	next := int64(0)
	rows := made(func(b []byte) []byte {
		for ; next < n && len(b) < 1<<18; next++ {
			group := next * stride % n
			b = fmt.Appendf(b, "ACC%07d,%s,%s,x\n", group/days, date(group), amount(cents(group)))
		}
		return b
	})
	width := int64(len("ACC0000000,2024-01-01,1000.00,x\n"))
	return hostileFile{
		rows: n, size: int64(len(hostileHeader)) + n*width, body: io.MultiReader(strings.NewReader(hostileHeader), rows),
		check: func(f *fleet, id string) {
			f.compareLines(id+"/aggregates/", n, func(group int64) string {
				return fmt.Sprintf("ACC%07d,%s,%s,", group/days, date(group), amount(cents(group)))
			})
		},
	}
}

// manyRejects has n rows that are rejected, each with a formula, and a good one.
func manyRejects(n int64) hostileFile {
	next := int64(0)
	rows := made(func(b []byte) []byte {
		for ; next < n && len(b) < 1<<18; next++ {
			b = fmt.Appendf(b, "=%08d+1,2024-01-02,1.0x,\"@a, b\"\n", next)
		}
		return b
	})
	width := int64(len("=00000000+1,2024-01-02,1.0x,\"@a, b\"\n"))
	return hostileFile{
		rows: 1, reason: fmt.Sprintf(`"bad_amount": %d`, n), size: int64(len(hostileHeader)+len(hostileRow)) + n*width,
		body: io.MultiReader(strings.NewReader(hostileHeader), rows, strings.NewReader(hostileRow)),
		check: func(f *fleet, id string) {
			f.compareLines(id+"/rejects/", n, func(i int64) string {
				return fmt.Sprintf("%d,bad_amount,amount: 1.0x,'=%08d+1,2024-01-02,1.0x,\"'@a, b\"", i+2, i)
			})
		},
	}
}

// compareLines compares the lines of a result behind its header, of which there
// are n, with how each begins.
func (f *fleet) compareLines(path string, n int64, want func(i int64) string) {
	f.Helper()
	body := f.download(path)
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Scan() // the header
	i := int64(0)
	for ; lines.Scan(); i++ {
		if i >= n || !strings.HasPrefix(lines.Text(), want(i)) {
			f.Fatalf("line %d of %s is %q, want %q", i, path, lines.Text(), want(i))
		}
	}
	if f.must(lines.Err()); i != n {
		f.Errorf("%d lines of %s, want %d", i, path, n)
	}
}
