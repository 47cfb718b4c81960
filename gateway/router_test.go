package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice/gateway"
)

func TestSlashAndHead(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.completed(outcome{rejects: "line,reason,detail,a\n2,bad_date,x,y\n"})
	for _, path := range []string{
		"/api/jobs", "/api/jobs/" + id + "/status", "/api/jobs/" + id + "/offers", "/api/jobs/" + id + "/aggregates", "/api/jobs/" + id + "/rejects",
		"/api/financial-transactions/jobs/" + id + "/status", "/api/financial-transactions/jobs/" + id + "/offers",
		"/api/financial-transactions/jobs/" + id + "/aggregates", "/healthz", "/readyz", "/metrics",
	} {
		plain, slashed, head := s.get(path), s.get(path+"/"), s.do(http.MethodHead, path, nil, nil)
		if plain.status != 200 || slashed.status != 200 || head.status != 200 || head.body != "" {
			t.Errorf("%s: %d, with slash %d, HEAD %d %q", path, plain.status, slashed.status, head.status, head.body)
		}
		if got, want := head.header.Get("Content-Type"), plain.header.Get("Content-Type"); got != want {
			t.Errorf("HEAD %s has type %s, GET %s", path, got, want)
		}
		if path != "/metrics" && plain.body != slashed.body {
			t.Errorf("%s differs with a slash:\n%s\n%s", path, plain.body, slashed.body)
		}
		if plain.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
	alias := "/api/financial-transactions/jobs/" + id + "/offers/"
	if a, b := s.get(alias).body, s.get("/api/jobs/"+id+"/offers/").body; a != b {
		t.Errorf("the alias answers otherwise:\n%s\n%s", a, b)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.get("/api/jobs/")
	s.do("INVENTED", "/api/jobs/", nil, nil)
	s.get("/invented/path")
	body := s.get("/metrics").body
	for _, want := range []string{
		`sluice_http_request_duration_seconds_count{method="GET",route="/api/jobs",status="200"} 1`,
		`sluice_http_request_duration_seconds_count{method="any",route="/api/jobs",status="405"} 1`,
		"tusd_uploads_created 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(body, "nvented") || strings.Contains(body, "INVENTED") {
		t.Errorf("a label is the client's to choose:\n%s", body)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	var good gateway.Config
	start(t, func(c *gateway.Config) { good = *c; good.Registerer = nil })
	for name, edit := range map[string]func(*gateway.Config){
		"Jobs":           func(c *gateway.Config) { c.Jobs = nil },
		"Uploads":        func(c *gateway.Config) { c.Uploads = nil },
		"Bucket":         func(c *gateway.Config) { c.Bucket = nil },
		"Needs":          func(c *gateway.Config) { c.Needs = nil },
		"MaxUploadBytes": func(c *gateway.Config) { c.MaxUploadBytes = -1 },
		"AdminKey":       func(c *gateway.Config) { c.APIKey, c.AdminKey = "same", "same" },
		"PublicURL":      func(c *gateway.Config) { c.PublicURL = "sluice.example" },
	} {
		bad := good
		edit(&bad)
		if _, err := gateway.New(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a bad %s gives %v", name, err)
		}
	}
	if _, err := gateway.New(good); err != nil {
		t.Error(err)
	}
}
