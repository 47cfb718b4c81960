package gateway

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Routes lists every route as "METHOD path", in the form of openapi.yaml.
func Routes() (routes []string) {
	g := &Gateway{cfg: Config{Queue: http.NotFoundHandler()}, sessions: newSessions("", "")}
	for _, r := range g.router(&files{gateway: g}).Routes() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		if strings.HasPrefix(path, "/api/") || path == filesPath {
			path += "/"
		}
		routes = append(routes, r.Method+" "+path)
	}
	return routes
}

// Paced is next behind the pace that a gateway's clients must keep.
func Paced(next http.Handler, stall time.Duration, bytesPerSecond int64) http.Handler {
	return (&Gateway{cfg: Config{BodyStall: stall, BodyRate: bytesPerSecond}}).paced(next)
}

// Strangers returns how many of so many that asked once a turnstile has not forgotten.
func Strangers(n int) int {
	t := newTurnstile(0, 1e6, "", "") // who asked once may ask anew within a microsecond
	for i := range n {
		if leave, err := t.enter(strconv.Itoa(i), true); err == nil {
			leave()
		}
	}
	return len(t.passes)
}
