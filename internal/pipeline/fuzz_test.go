package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"testing"

	"sluice/internal/pipeline"
)

// FuzzRun holds for any bytes: a failure has a code, each record is booked or
// rejected once, and the rejects are CSV that begins as promised.
func FuzzRun(f *testing.F) {
	for _, seed := range [][]byte{
		[]byte(plainCSV), gzipped(f, plainCSV), zstandard(f, plainCSV), utf16Text(binary.LittleEndian, plainCSV),
		utf32Text(binary.BigEndian, "\ufeff"+plainCSV), []byte("account_id;date;amount\n=x;2024-01-05;\"1\n\"\n;;\n\"a\"b;1;2;3"),
	} {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(1))
	}
	settings := []string{``, `{"encoding":"windows-1252","on_error":{"max_rows":2}}`, `{"has_header":false,"columns":{"account_id":1,"date":2,"amount":3}}`}
	f.Fuzz(func(t *testing.T, file []byte, setting uint8) {
		o := job{file: file, parse: settings[int(setting)%len(settings)]}.run(t)
		if o.err != nil && !errors.As(o.err, new(*pipeline.Failure)) {
			t.Fatalf("no fault of the file's: %v", o.err)
		}
		var booked int64
		for _, row := range o.aggregates {
			booked += row.Count
		}
		if o.err == nil && booked != o.Accepted {
			t.Fatalf("booked %d of %d", booked, o.Accepted)
		}
		checkRejects(t, o)
	})
}

func checkRejects(t *testing.T, o outcome) {
	t.Helper()
	if o.Rejected == 0 {
		return
	}
	// encoding/csv drops the CR of a CR LF inside quotes, and nothing else.
	rows := csv.NewReader(bytes.NewReader([]byte(o.rejects)))
	rows.FieldsPerRecord = -1
	n := int64(-1)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(row) < 3 {
			t.Fatalf("rejects %q: %v", o.rejects, err)
		}
		n++
	}
	if n != o.Rejected {
		t.Fatalf("%d rows of rejects for %d rejected", n, o.Rejected)
	}
}
