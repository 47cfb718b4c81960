package gateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/gateway"
	"sluice/internal/audit"
	"sluice/internal/erasure"
)

// erased is what the API says of an erasure.
type erased struct {
	ID, Tenant string
	SHA256     *string
	Receipt    json.RawMessage
	FinishedAt *time.Time `json:"finished_at"`
}

// An admin has its own tenant erased and no other. From then on all that begins something, and all that seeks what is
// gone, gets one answer; a key sees how far it is until it is gone itself.
func TestErasures(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	admin, jwt := bearer(m.keys["acme admin"].Text), m.jwt(map[string]any{"role": "admin"})
	begin := func(who fields) answer {
		header := maps.Clone(who)
		maps.Copy(header, jsonType)
		return m.do(http.MethodPost, "/api/erasures/", header, strings.NewReader(`{"tenant":"acme"}`))
	}
	if a := begin(bearer(m.keys["rival admin"].Text)); a.status != http.StatusBadRequest {
		t.Errorf("another tenant's admin: %d %s", a.status, a.body)
	}
	last := m.lastEntry()
	first := begin(admin)
	begun := told(m, first, http.StatusAccepted)
	if again := told(m, begin(admin), http.StatusAccepted); again.ID != begun.ID || begun.Tenant != "acme" || begun.FinishedAt != nil || begun.SHA256 != nil {
		t.Errorf("begun it is %+v, begun again %+v", begun, again)
	}
	m.compare("POST /api/erasures/", m.entriesSince(last), []audit.Action{audit.TenantErase}, first, []string{begun.ID})
	path := first.header.Get("Location")
	told(m, m.do(http.MethodGet, path, admin, nil), http.StatusAccepted)
	for _, of := range []string{path, "/api/erasures/erasure_none/"} {
		wantProblem(t, m.do(http.MethodGet, of, bearer(m.keys["rival admin"].Text), nil), http.StatusNotFound, of)
	}
	wantProblem(t, m.do(http.MethodGet, "/api/erasures/erasure_none/", admin, nil), http.StatusNotFound, "/api/erasures/erasure_none/")
	m.refusesAll(admin)

	m.finishes("acme")
	if a := m.do(http.MethodGet, path, jwt, nil); a.status != http.StatusOK {
		t.Errorf("the issuer's admin: %d %s", a.status, a.body)
	} else {
		e := told(m, a, http.StatusOK)
		sum := sha256.Sum256(e.Receipt)
		if e.SHA256 == nil || *e.SHA256 != hex.EncodeToString(sum[:]) || !strings.Contains(string(e.Receipt), `"access_keys":3,`) {
			t.Errorf("the receipt is %s", a.body)
		}
	}
	told(m, begin(jwt), http.StatusOK)
	m.refusesAll(jwt)
	for a := m.do(http.MethodGet, path, admin, nil); a.status != http.StatusUnauthorized; a = m.do(http.MethodGet, path, admin, nil) {
		if t.Context().Err() != nil {
			t.Fatalf("its key still opens: %d", a.status)
		}
	}
	m.told(m.do(http.MethodGet, "/api/jobs/", bearer(m.keys["rival admin"].Text), nil), http.StatusOK)
}

func told(m *matrix, a answer, status int) (e erased) {
	m.t.Helper()
	if a.status != status {
		m.t.Fatalf("%d %s, not %d", a.status, a.body, status)
	}
	decode(m.t, a.body, &e)
	return e
}

// refusesAll asks each route that begins something, and each of a job, upload, webhook or watch, of which there is none.
func (m *matrix) refusesAll(who fields) {
	m.t.Helper()
	asked := 0
	for _, route := range gateway.Routes() {
		method, path, _ := strings.Cut(route, " ")
		v, _ := visitOf(route)
		named := strings.Contains(path, "{")
		switch {
		case route == "POST /api/erasures/", strings.HasPrefix(path, "/api/erasures/{"), route == "POST /api/watches/", method == http.MethodOptions:
			continue
		case named && v.ids == nil, !named && v.kind != "create" && v.kind != "door" && v.kind != "manage" && v.kind != "enter":
			continue
		}
		asked++
		path = strings.NewReplacer("{id}", "job_none", "{delivery}", "msg_none", "{session_id}", "none").Replace(path)
		a := m.ask(method, path, v, who)
		if a.status != http.StatusGone || method != http.MethodHead && !strings.Contains(a.body, "urn:problem-type:sluice:tenant_erased") {
			m.t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
	if asked < 30 {
		m.t.Errorf("only %d routes were asked", asked)
	}
}

// finishes has the erasure of a tenant done.
func (m *matrix) finishes(tenant string) {
	m.t.Helper()
	eraser, err := erasure.NewEraser(erasure.EraserConfig{Pool: m.pool, Bucket: m.bucket, Jobs: m.jobs, Uploads: m.uploads, Grace: time.Nanosecond})
	m.must(err)
	for finished := false; !finished; {
		m.exec("UPDATE erasures SET due_at = now()") // no pause
		m.must(eraser.Round(m.t.Context()))
		m.must(m.pool.QueryRow(m.t.Context(), "SELECT finished_at IS NOT NULL FROM erasures WHERE tenant = $1", tenant).Scan(&finished))
	}
}
