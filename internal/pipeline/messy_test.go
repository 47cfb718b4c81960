package pipeline_test

import (
	"archive/tar"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// messyVerdict is a line of testdata/messy.tsv: files, settings, and what
// becomes of each file under them.
type messyVerdict struct {
	line                   int
	glob, settings, expect string
}

// messySettings are the names that the table has for parse_configs of several
// files.
var messySettings = map[string]string{
	"-": ``,
	// rows judges the shape of every record, of files that hold no transactions:
	// all are rejected, those of a good shape for their date.
	"rows": `{"has_header":false,"account_id":"x","columns":{"date":1,"amount":1}}`,
	// products reads Pollock's table of sales as transactions.
	"products": `{"columns":{"account_id":"PRODUCTID","amount":"Price"}}`,
}

// TestMessy gives every file of the suites that other CSV readers are tested
// with its verdict. The table says why, group by group.
func TestMessy(t *testing.T) {
	t.Parallel()
	root := sharedData(t, "messy")
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, files, "testdata/messy.tsv", func(_ string, o outcome) string { return verdictOf(o) })
}

// TestPollock does the same for the files within one of them, each of which is
// the same table of sales with one thing wrong.
func TestPollock(t *testing.T) {
	t.Parallel()
	archive := sharedData(t, "messy/pollock_polluted_part.tar.xz")
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Skipf("no xz to open the archive with: %v", err)
	}
	text, err := exec.CommandContext(t.Context(), xz, "-dc", archive).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	members := tar.NewReader(bytes.NewReader(text))
	for {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if path.Dir(member.Name) != "polluted_files/csv" {
			continue
		}
		if files[path.Base(member.Name)], err = io.ReadAll(members); err != nil {
			t.Fatal(err)
		}
	}
	prices := pollockPrices(t, files["source.csv"])
	judge(t, files, "testdata/pollock.tsv", func(name string, o outcome) string { return relativeTo(prices, name, verdictOf(o)) })
}

// pollockPrices are those of the table that is right, in cents and in its
// order, as another reader reads them.
func pollockPrices(t *testing.T, source []byte) (prices []int64) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(source)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		price, err := strconv.ParseInt(cents(t, strings.TrimPrefix(row[4], "$")), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		prices = append(prices, price)
	}
	return prices
}

var pollockRow = regexp.MustCompile(`^row_[a-z_]*([0-9]+)_`)

// relativeTo puts "-1" for a sum that is the whole table's less the row in the
// file's name, and "-2" for one less the row after that too.
func relativeTo(prices []int64, name, verdict string) string {
	match := pollockRow.FindStringSubmatch(name)
	if match == nil {
		return verdict
	}
	sum := int64(0)
	for _, price := range prices {
		sum += price
	}
	row, _ := strconv.Atoi(match[1]) // digits, and few of them
	for n := range 2 {
		at := row - 1 + n
		if row == 0 || at == len(prices) {
			break
		}
		sum -= prices[at]
		if rest, ok := strings.CutSuffix(verdict, fmt.Sprintf(" %d.%02d", sum/100, sum%100)); ok {
			return fmt.Sprintf("%s -%d", rest, n+1)
		}
	}
	return verdict
}

// judge holds every file to its lines of the table, of which each must have a
// file and each file one.
func judge(t *testing.T, files map[string][]byte, table string, say func(name string, o outcome) string) {
	t.Helper()
	verdicts := readVerdicts(t, table)
	used := map[int]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		judged := map[string]bool{}
		for _, v := range verdicts {
			if ok, err := path.Match(v.glob, name); err != nil {
				t.Fatalf("%s:%d: %v", table, v.line, err)
			} else if !ok || judged[v.settings] { // a line of its own comes before that of its group
				continue
			}
			judged[v.settings], used[v.line] = true, true
			settings, ok := messySettings[v.settings]
			if !ok {
				settings = v.settings
			}
			if got := say(name, job{file: files[name], parse: settings}.run(t)); got != v.expect {
				t.Errorf("%s:%d: %s\t%s\t%s", table, v.line, name, v.settings, got)
			}
		}
		if len(judged) == 0 {
			t.Errorf("%s has no verdict", name)
		}
	}
	for _, v := range verdicts {
		if !used[v.line] {
			t.Errorf("%s:%d: no file is %s", table, v.line, v.glob)
		}
	}
}

func readVerdicts(t *testing.T, table string) []messyVerdict {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []messyVerdict
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			t.Fatalf("%s:%d: want file, settings and verdict", table, i+1)
		}
		verdicts = append(verdicts, messyVerdict{line: i + 1, glob: fields[0], settings: fields[1], expect: fields[2]})
	}
	return verdicts
}

// verdictOf is the code, where the file failed; the rows, booked and
// rejected, by reason; and what the booked ones add up to.
func verdictOf(o outcome) string {
	verdict := []string{o.code()}
	if o.err == nil {
		verdict[0] = "complete"
	}
	if o.Accepted+o.Rejected > 0 {
		verdict = append(verdict, fmt.Sprintf("%d+%d", o.Accepted, o.Rejected))
	}
	for _, reason := range slices.Sorted(maps.Keys(o.ByReason)) {
		verdict = append(verdict, fmt.Sprintf("%s=%d", reason, o.ByReason[reason]))
	}
	if o.err == nil && o.Accepted > 0 {
		verdict = append(verdict, string(o.Total.AppendDecimal(nil, 2)))
	}
	return strings.Join(verdict, " ")
}
