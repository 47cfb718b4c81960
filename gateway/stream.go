package gateway

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"net/http"

	"github.com/labstack/echo/v4"
)

// A row is one line of a result: its JSON is that of the type, its cells are
// those of the CSV, in the order of the header.
type row interface{ cells() []string }

// streamBytes are gathered before they go out. An error within the first of
// them still becomes a problem document.
const streamBytes = 32 << 10

// stream answers with every row, as CSV or NDJSON, in memory that does not
// grow with their number. A failure on the way cuts the connection (see fail).
func stream[R row](c echo.Context, media, name string, header []string, rows iter.Seq2[R, error]) error {
	extension := map[string]string{mediaCSV: ".csv", mediaNDJSON: ".ndjson"}[media]
	attach(c, name+extension)
	c.Response().Header().Set("Content-Type", media+"; charset=utf-8")
	if headOnly(c) {
		return c.NoContent(http.StatusOK)
	}
	w := bufio.NewWriterSize(c.Response(), streamBytes)
	write := writeLines[R]
	if media == mediaCSV {
		write = writeCSV[R]
	}
	if err := write(w, header, rows); err != nil {
		return err
	}
	return w.Flush()
}

func writeLines[R row](w io.Writer, _ []string, rows iter.Seq2[R, error]) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func writeCSV[R row](w io.Writer, header []string, rows iter.Seq2[R, error]) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(header); err != nil {
		return err
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := cw.Write(r.cells()); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}
