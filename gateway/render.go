package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
	"sluice/internal/money"
	"sluice/internal/pipeline"
)

// writeJSON answers with v. Money and rates in v are json.Number or
// json.RawMessage, so no float comes near them.
func writeJSON(c echo.Context, v any) error { return writeStatusJSON(c, http.StatusOK, v) }

func writeStatusJSON(c echo.Context, status int, v any) error {
	body, err := encodeJSON(v)
	if err != nil {
		return err
	}
	return writeBody(c, status, body)
}

// writeBody answers with what encodeJSON made.
func writeBody(c echo.Context, status int, body []byte) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(status, mediaJSON, body)
}

func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // an account id reads the same here as in NDJSON
	err := e.Encode(v)
	return out.Bytes(), err
}

// amount writes minor units as a number of major units with all of the
// currency's decimals: 1250 at exponent 2 is 12.50.
func amount(minor money.Int, exponent int) json.Number {
	return json.Number(minor.AppendDecimal(nil, exponent))
}

// wholeAmount is amount without decimals that are all zero: 125000 at
// exponent 2 is 1250. Offers are written so.
func wholeAmount(minor int64, exponent int) json.Number {
	text := string(amount(money.FromInt64(minor), exponent))
	if whole, decimals, found := strings.Cut(text, "."); found && strings.Trim(decimals, "0") == "" {
		text = whole
	}
	return json.Number(text)
}

// fraction writes millionths as the shortest decimal: 500000 is 0.5.
func fraction(ppm int64) json.Number {
	const decimals = 6
	text := money.FromInt64(ppm).AppendDecimal(nil, decimals)
	return json.Number(bytes.TrimRight(bytes.TrimRight(text, "0"), "."))
}

// civil writes a day number, counted from 1970-01-01, as YYYY-MM-DD.
func civil(day int32) string {
	const secondsPerDay = 86400
	return time.Unix(int64(day)*secondsPerDay, 0).UTC().Format(time.DateOnly)
}

// seconds writes a duration as a number of seconds, to the millisecond.
func seconds(d time.Duration) json.Number {
	return fraction(d.Round(time.Millisecond).Microseconds())
}

// timestamp is a time as JSON writes it, RFC 3339, in UTC; the zero time is nil.
func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// cell puts an apostrophe before what a spreadsheet would run.
func cell(text string) string {
	if pipeline.Formula(text) {
		return "'" + text
	}
	return text
}

// date writes a day number as civil does, and the absence of one as nil.
func date(day int32) *string {
	if day == job.NoDay {
		return nil
	}
	text := civil(day)
	return &text
}

// attach names the file that a browser saves the answer as.
func attach(c echo.Context, name string) {
	c.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c.Response().Header().Set("Cache-Control", "no-store")
}

// headOnly tells whether only the header of the answer is wanted, so that no
// stream is read for nothing.
func headOnly(c echo.Context) bool { return c.Request().Method == http.MethodHead }

// optional returns the text for a cell, and "" for none.
func optional(text *string) string {
	if text == nil {
		return ""
	}
	return cell(*text)
}
