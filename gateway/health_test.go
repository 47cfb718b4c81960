package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"sluice/gateway"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := start(t)
	if a := s.get("/healthz"); a.status != 200 || !strings.Contains(a.body, `"version":"1.2.3"`) {
		t.Errorf("healthz: %d %s", a.status, a.body)
	}
	want := `{"checks":{"migrations":"ok","postgres":"ok","s3":"ok"},"status":"ready"}` + "\n"
	if a := s.get("/readyz"); a.status != 200 || a.body != want {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
}

// A gateway that is about to stop says so, and ends its connections while it
// still answers.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.gateway.Leave()
	wantProblem(t, s.get("/readyz"), 503, "/readyz")
	resp, err := http.Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("/healthz answers %d and ends its connection: %v", resp.StatusCode, resp.Close)
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) {
		c.Needs["migrations"] = func(context.Context) error { return errors.New("00002 at db.internal is missing") }
	})
	a := s.get("/readyz")
	wantProblem(t, a, 503, "/readyz")
	var p struct {
		Errors []struct{ Field, Detail string }
	}
	decode(t, a.body, &p)
	if len(p.Errors) != 1 || p.Errors[0].Field != "migrations" || strings.Contains(a.body, "db.internal") {
		t.Errorf("readyz says %s", a.body)
	}
	if !strings.Contains(s.log.String(), "db.internal") {
		t.Error("the log does not say why")
	}
	s.pool.Close()
	if a := s.get("/readyz"); !strings.Contains(a.body, `"postgres"`) {
		t.Errorf("readyz without a database says %s", a.body)
	}
	if a := s.get("/healthz"); a.status != 200 {
		t.Errorf("healthz asks more than the process: %d", a.status)
	}
}
