package gateway

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// The media types that results are handed out in.
const (
	mediaJSON    = "application/json"
	mediaCSV     = "text/csv"
	mediaNDJSON  = "application/x-ndjson"
	mediaParquet = "application/vnd.apache.parquet"
)

// negotiate picks the offer that the Accept header likes best (RFC 9110
// §12.5.1), the earlier one among equals. The error is a 406 problem.
func negotiate(c echo.Context, offers ...string) (string, error) {
	accept := strings.Join(c.Request().Header.Values("Accept"), ",")
	c.Response().Header().Add("Vary", "Accept")
	if strings.TrimSpace(accept) == "" {
		return offers[0], nil
	}
	best, bestQ := "", 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQ {
			best, bestQ = offer, q
		}
	}
	if best == "" {
		return "", newProblem(http.StatusNotAcceptable, "This can be had as "+strings.Join(offers, ", ")+".")
	}
	return best, nil
}

// quality returns the q value of the most specific range in accept that
// covers the offer, or 0.
func quality(accept, offer string) (q float64) {
	group, _, _ := strings.Cut(offer, "/")
	specificity := 0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		s := map[string]int{"*/*": 1, group + "/*": 2, offer: 3}[name]
		if s > specificity {
			specificity, q = s, weight(params)
		}
	}
	return q
}

func weight(params map[string]string) float64 {
	text, given := params["q"]
	if !given {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) { // NaN too
		return 0
	}
	return q
}
