package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway"
	"sluice/internal/audit"
	"sluice/internal/devstack/devtest"
	"sluice/internal/drop"
	"sluice/internal/job"
)

// recorded is what each route leaves in the audit log when it has served who may ask. Routes that change something, or
// show results, and are not here fail the test. nil: it leaves nothing, as bytes of an upload do that are not the last.
var recorded = map[string][]audit.Action{
	"POST /files/":        {audit.JobCreate},
	"PATCH /files/{id}":   {audit.UploadComplete}, // all five bytes
	"DELETE /files/{id}":  {audit.UploadTerminate},
	"OPTIONS /files/{id}": nil,

	"POST /api/financial-transactions/upload-file/":              {audit.JobCreate, audit.UploadComplete},
	"POST /api/financial-transactions/stream-upload/":            {audit.JobCreate, audit.UploadComplete},
	"POST /api/financial-transactions/process-transactions/":     {audit.JobCreate, audit.UploadComplete},
	"POST /api/financial-transactions/upload-chunked/":           {audit.JobCreate}, // the first of two
	"POST /api/financial-transactions/jobs/":                     {audit.JobCreate},
	"PUT /api/financial-transactions/jobs/{id}/upload/":          nil,
	"PATCH /api/financial-transactions/jobs/{id}/complete/":      {audit.UploadComplete},
	"GET /api/jobs/{id}/offers/":                                 {audit.ResultRead},
	"GET /api/jobs/{id}/aggregates/":                             {audit.ResultRead},
	"GET /api/jobs/{id}/portfolio/":                              {audit.ResultRead},
	"GET /api/jobs/{id}/rejects/":                                {audit.ResultRead},
	"GET /api/financial-transactions/jobs/{id}/offers/":          {audit.ResultRead},
	"GET /api/financial-transactions/jobs/{id}/aggregates/":      {audit.ResultRead},
	"GET /api/financial-transactions/jobs/{id}/portfolio/":       {audit.ResultRead},
	"POST /api/jobs/{id}/cancel/":                                {audit.JobCancel},
	"POST /api/jobs/{id}/retry/":                                 {audit.JobRetry},
	"DELETE /api/jobs/{id}/":                                     {audit.JobDelete},
	"POST /api/jobs/webhooks/register/":                          {audit.WebhookCreate},
	"DELETE /api/jobs/webhooks/{id}/":                            {audit.WebhookDelete},
	"POST /api/jobs/webhooks/{id}/enable/":                       {audit.WebhookEnable},
	"POST /api/jobs/webhooks/{id}/rotate/":                       {audit.WebhookRotate},
	"POST /api/jobs/webhooks/{id}/deliveries/{delivery}/replay/": {audit.WebhookReplay},
	"POST /api/watches/":                                         {audit.WatchCreate},
	"DELETE /api/watches/{id}/":                                  {audit.WatchDelete},
	"POST /api/upload-tokens/":                                   {audit.TokenCreate},
	"POST /api/erasures/":                                        nil, // of the wrong tenant: TestErasures begins one
	"POST /session":                                              {audit.SessionCreate},
	"DELETE /session":                                            {audit.SessionEnd},
	"POST /hooks/s3":                                             nil, // nobody's key opens it: TestHookIsRecorded

	// They change nothing.
	"POST /admin/queue": nil, "PUT /admin/queue": nil, "PATCH /admin/queue": nil, "DELETE /admin/queue": nil,
	"POST /admin/queue/*": nil, "PUT /admin/queue/*": nil, "PATCH /admin/queue/*": nil, "DELETE /admin/queue/*": nil,
}

// TestEachChangeIsRecorded asks each route that the router has, and finds exactly its entry: by whom, for which request,
// of what. Of what is refused, and of all that only looks, there is none.
func TestEachChangeIsRecorded(t *testing.T) {
	t.Parallel()
	drops := devtest.Bucket(t)
	m := newMatrix(t, func(c *gateway.Config) { c.WatchAreas = []drop.Area{{Tenant: "acme", Bucket: drops.Name()}} })
	for _, route := range gateway.Routes() {
		v, known := visitOf(route)
		want, listed := recorded[route]
		method, path, _ := strings.Cut(route, " ")
		changes := !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
		if !known || !listed && changes {
			t.Errorf("%s is in no table: say what it leaves in the audit log", route)
			continue
		}
		if route == "POST /api/watches/" {
			v.status, v.body = http.StatusCreated, jsonOf(t, map[string]string{"bucket": drops.Name()})
		}
		ids := []string{}
		if v.ids != nil {
			ids = v.ids(m)
		}
		who := map[string]string{"queue": "SLUICE_ADMIN_KEY", "metrics": "SLUICE_ADMIN_KEY", "leave": "a session of an admin key"}[v.kind]
		if who == "" {
			who = "an admin key"
		}
		refused, let := m.with("a wrong key", v), m.with(who, v)
		last := m.lastEntry()
		m.ask(method, filled(path, ids), v, refused)
		if got := m.entriesSince(last); len(got) != 0 {
			t.Errorf("%s, refused, leaves %+v", route, got)
		}
		a := m.ask(method, filled(path, ids), v, let)
		if v.kind != "hook" && a.status != v.status {
			t.Errorf("%s: %d, not %d: %s", route, a.status, v.status, a.body)
		}
		m.compare(route, m.entriesSince(last), want, a, ids)
	}
}

// compare fails the test where the entries are not those that were wanted, of that request.
func (m *matrix) compare(route string, got []audit.Entry, want []audit.Action, a answer, ids []string) {
	m.t.Helper()
	var actions []audit.Action
	for _, e := range got {
		actions = append(actions, e.Action)
		actor := audit.KeyActor + m.keys["acme admin"].ID
		if e.Action == audit.SessionEnd {
			actor = audit.SessionActor + e.Subject
		}
		if e.Actor != actor || e.Tenant != "acme" || e.RequestID == "" || e.RequestID != a.header.Get("X-Request-Id") || e.Client != "127.0.0.1" {
			m.t.Errorf("%s leaves %+v, by %s for the request %s", route, e, actor, a.header.Get("X-Request-Id"))
		}
		if len(ids) > 0 && e.Subject != ids[0] || e.Subject == "" {
			m.t.Errorf("%s of %v leaves an entry of %q", route, ids, e.Subject)
		}
	}
	if !slices.Equal(actions, want) {
		m.t.Errorf("%s leaves %v, not %v", route, actions, want)
	}
}

// lastEntry is the id of the newest entry.
func (m *matrix) lastEntry() int64 {
	m.t.Helper()
	var id int64
	m.must(m.pool.QueryRow(m.t.Context(), "SELECT coalesce(max(id), 0) FROM audit").Scan(&id))
	return id
}

// entriesSince are the entries behind that one, oldest first.
func (m *matrix) entriesSince(id int64) (entries []audit.Entry) {
	m.t.Helper()
	log, err := audit.New(audit.Config{Pool: m.pool})
	m.must(err)
	all, err := log.List(m.t.Context(), audit.Filter{}, 1000)
	m.must(err)
	for _, e := range slices.Backward(all) {
		if e.ID > id {
			entries = append(entries, e)
		}
	}
	return entries
}

// Each kind of who may ask is named by what tells it apart, and by nothing that opens anything.
func TestActorsAreNamed(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	for credential, actor := range map[string]string{
		"an upload key":                        "key:" + m.keys["acme upload"].ID,
		"SLUICE_API_KEY":                       "key:SLUICE_API_KEY",
		"the upload's token":                   "token:",
		"a session of an admin key":            "session:",
		"a session of an issuer's token":       "session:",
		"an issuer's token of the role admin":  "jwt:alice",
		"another tenant's token of the issuer": "jwt:alice",
		"another upload's token":               "token:",
		"a session of an upload key":           "session:",
		"another tenant's key":                 "key:" + m.keys["rival admin"].ID,
		"an issuer's token of the role upload": "jwt:alice",
	} {
		header := m.make(credential)
		last := m.lastEntry()
		m.ask(http.MethodPost, "/files/", visits["POST /files/"], header)
		got := m.entriesSince(last)
		if len(got) != 1 || !strings.HasPrefix(got[0].Actor, actor) || strings.HasSuffix(got[0].Actor, ":") {
			t.Errorf("%s is %+v, not %s", credential, got, actor)
			continue
		}
		for _, secret := range header {
			if _, name, _ := strings.Cut(got[0].Actor, ":"); name != "SLUICE_API_KEY" && len(secret) > 20 && strings.Contains(jsonOf(t, got[0]), secret[len(secret)-20:]) {
				t.Errorf("%s: the log has what opens something: %s", credential, got[0].Actor)
			}
		}
	}
	m.ask(http.MethodPost, "/session", visits["POST /session"], m.with("SLUICE_API_KEY", visit{}))
	if got := m.entriesSince(0); got[len(got)-1].Action != audit.SessionCreate || got[len(got)-1].Actor != "key:SLUICE_API_KEY" {
		t.Errorf("its session is %+v", got[len(got)-1])
	}
	open := &matrix{server: start(t)}
	open.ask(http.MethodPost, "/files/", visits["POST /files/"], nil)
	if got := open.entriesSince(0); len(got) != 1 || got[0].Actor != audit.Loopback {
		t.Errorf("without a key it is %+v", got)
	}
}

// What an event tells of is taken by its watch, for the request that told.
func TestHookIsRecorded(t *testing.T) {
	t.Parallel()
	drops := devtest.Bucket(t)
	m := newMatrix(t, func(c *gateway.Config) { c.WatchAreas = []drop.Area{{Tenant: "acme", Bucket: drops.Name()}} })
	header := bearer(m.keys["acme admin"].Text)
	header["Content-Type"] = "application/json"
	watch := m.told(m.do(http.MethodPost, "/api/watches/", header, strings.NewReader(`{"bucket":"`+drops.Name()+`","backfill":"all"}`)), http.StatusCreated)["id"].(string)
	if _, err := drops.Put(t.Context(), "till.csv", []byte(smallCSV)); err != nil {
		t.Fatal(err)
	}
	last := m.lastEntry()
	event := `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"` + drops.Name() + `"},"object":{"key":"till.csv"}}}]}`
	a := m.do(http.MethodPost, "/hooks/s3", bearer("hush"), strings.NewReader(event))
	got := m.entriesSince(last)
	if len(got) != 1 || got[0].Action != audit.JobCreate || got[0].Actor != "drop:"+watch || got[0].Tenant != "acme" || got[0].RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("%d %s: %+v", a.status, a.body, got)
	}
	if text := jsonOf(t, m.entriesSince(0)); strings.Contains(text, "till.csv") || strings.Contains(text, drops.Name()) {
		t.Errorf("the log names files: %s", text)
	}
}

// What cannot be recorded is neither done nor read.
func TestNothingIsDoneUnrecorded(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	id, failed := m.complete()[0], m.failed()[0]
	admin := bearer(m.keys["acme admin"].Text)
	m.exec("ALTER TABLE audit ADD CONSTRAINT nothing CHECK (action = 'none.at') NOT VALID")
	for _, path := range []string{"offers", "aggregates", "portfolio", "rejects"} {
		if a := m.do(http.MethodGet, "/api/jobs/"+id+"/"+path+"/", admin, nil); a.status != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	m.do(http.MethodDelete, "/api/jobs/"+id+"/", admin, nil)
	m.do(http.MethodPost, "/api/jobs/"+failed+"/retry/", admin, nil)
	m.ask(http.MethodPost, "/files/", visits["POST /files/"], admin)
	jobs, err := m.jobs.List(t.Context(), "acme", job.Filter{Limit: 10})
	if err != nil || len(jobs) != 2 || jobs[0].State != job.Failed || jobs[1].State != job.JobComplete {
		t.Errorf("unrecorded, the jobs became %+v, %v", jobs, err)
	}
}

// An admin reads the log of its own tenant, page by page.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	ids := []string{m.upload()[0], m.ended()[0], m.upload()[0]}
	read := func(query string, key string) (page struct {
		Entries []struct{ Action, Actor, Subject string }
		Next    *string `json:"next_cursor"`
	},
	) {
		t.Helper()
		a := m.do(http.MethodGet, "/api/audit/"+query, bearer(m.keys[key].Text), nil)
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, a.status, a.body)
		}
		return page
	}
	var subjects []string
	for page := read("?limit=1&action=job.create", "acme admin"); ; page = read("?limit=1&action=job.create&cursor="+*page.Next, "acme admin") {
		for _, e := range page.Entries {
			subjects = append(subjects, e.Subject)
		}
		if page.Next == nil {
			break
		}
	}
	slices.Reverse(subjects)
	if !slices.Equal(subjects, ids) {
		t.Errorf("the pages have %v, not %v", subjects, ids)
	}
	if page := read("?subject="+ids[1], "acme admin"); len(page.Entries) != 2 || page.Entries[0].Action != string(audit.JobCancel) {
		t.Errorf("of one job: %+v", page)
	}
	if page := read("?subject="+ids[1], "rival admin"); len(page.Entries) != 0 {
		t.Errorf("another tenant reads %+v", page)
	}
	if page := read("?since="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "acme admin"); len(page.Entries) != 0 {
		t.Errorf("from a time to come: %+v", page)
	}
	for _, query := range []string{"?action=job.invent", "?since=yesterday", "?limit=1001", "?cursor=eyJpZCI6LTF9", "?cursor=x"} {
		if a := m.do(http.MethodGet, "/api/audit/"+query, bearer(m.keys["acme admin"].Text), nil); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}
