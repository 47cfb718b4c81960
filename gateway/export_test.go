package gateway

import (
	"net/http"
	"regexp"
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
