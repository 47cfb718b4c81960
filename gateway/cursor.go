package gateway

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/labstack/echo/v4"
)

// Lines per page: what is given without a limit, and what can be asked for.
const (
	defaultLimit = 100
	maxRows      = 1000
	maxJobs      = 200
)

// limit reads the limit parameter, from 1 to most.
func limit(c echo.Context, most int) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badField("limit", "must be a whole number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// encodeCursor returns the position of a page's last row as one opaque word.
func encodeCursor[P any](position P) *string {
	text, err := json.Marshal(position)
	if err != nil { // positions are flat structs of text and numbers
		panic(err)
	}
	word := base64.RawURLEncoding.EncodeToString(text)
	return &word
}

// decodeCursor returns the position that the cursor parameter stands for, or
// nil for the first page.
func decodeCursor[P any](c echo.Context) (*P, error) {
	word := c.QueryParam("cursor")
	if word == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(word)
	position := new(P)
	if err == nil {
		err = json.Unmarshal(text, position)
	}
	if err != nil || *encodeCursor(*position) != word { // it may have been read leniently
		return nil, badCursor()
	}
	return position, nil
}

func badCursor() error { return badField("cursor", "is not one that this list has given out") }

// cut returns the first limit of rows, and whether that leaves any: a page is
// asked for with one row more than it shows, so that the last page is known.
func cut[R any](rows []R, limit int) (page []R, more bool) {
	return rows[:min(limit, len(rows))], len(rows) > limit
}
