package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice/gateway"
)

// What a cell of the table below says beside a status.
const (
	own = 0  // the status that the route's visit has
	not = -1 // 404 where the route names an id, which is another's, else own
)

// credentials are the columns of the table: all that a request may come with.
var credentials = []string{
	"nothing", "a wrong key", "an unknown key", "a revoked key", "an expired key", "another tenant's key",
	"an upload key", "a read key", "an admin key", "a session of an upload key", "a session of a read key", "a session of an admin key",
	"a session of an admin key, not from the page", "a session of a revoked key", "a forged session",
	"the upload's token", "another upload's token", "an expired token", "SLUICE_API_KEY", "SLUICE_ADMIN_KEY",
}

// likened are more of them, each with the column that says what it gets.
var likened = map[string]string{
	"an issuer's token of the role upload": "an upload key", "an issuer's token of the role read": "a read key",
	"an issuer's token of the role admin": "an admin key", "a session of an issuer's token": "a session of an admin key",
	"another tenant's token of the issuer": "another tenant's key", "an expired token of the issuer": "an expired key",
	"a token of the issuer without a role": "a wrong key", "a token of the issuer for a tenant that cannot be": "a wrong key",
	"a token of nobody's": "a wrong key",
}

// column is where the table says what a credential gets.
func column(credential string) int {
	if like, ok := likened[credential]; ok {
		credential = like
	}
	return slices.Index(credentials, credential)
}

// table says what each kind of route answers to each of them. It is written out, and
// not asked of the gateway, so that each change of who may do what shows here.
var table = map[string][]int{
	// The page, its files and the probes.
	"open": {own, own, own, own, own, own, own, own, own, own, own, own, own, own, own, own, own, own, own, own},
	// The hook has a secret of its own, and takes nothing else.
	"hook": {401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401},
	// The end of the session, and what begins one.
	"leave": {own, own, own, own, own, own, own, own, own, own, own, own, 403, own, own, own, own, own, own, own},
	"enter": {401, 401, 401, 401, 401, own, own, own, own, 401, 401, 401, 401, 401, 401, 403, 403, 401, own, 401},
	// Creating uploads, and sending them, by tus.
	"create": {401, 401, 401, 401, 401, not, own, 403, own, own, 403, own, 403, 401, 401, own, own, 401, not, 401},
	"asked":  {401, 401, 401, 401, 401, own, own, 403, own, own, 403, own, own, 401, 401, own, own, 401, own, 401},
	"known":  {401, 401, 401, 401, 401, own, own, 403, own, own, 403, own, own, 401, 401, own, not, 401, own, 401},
	"offset": {401, 401, 401, 401, 401, not, own, 403, own, own, 403, own, own, 401, 401, own, not, 401, not, 401},
	"bytes":  {401, 401, 401, 401, 401, not, own, 403, own, own, 403, own, 403, 401, 401, own, not, 401, not, 401},
	// The same by other doors, which upload tokens do not open.
	"door": {401, 401, 401, 401, 401, not, own, 403, own, own, 403, own, 403, 401, 401, 403, 403, 401, not, 401},
	"sent": {401, 401, 401, 401, 401, not, own, 403, own, own, 403, own, own, 401, 401, 403, 403, 401, not, 401},
	// How a job gets on, what came of it, and changing it.
	"follow": {401, 401, 401, 401, 401, not, own, own, own, own, own, own, own, 401, 401, own, not, 401, not, 401},
	"read":   {401, 401, 401, 401, 401, not, 403, own, own, 403, own, own, own, 401, 401, 403, 403, 401, not, 401},
	"look":   {401, 401, 401, 401, 401, not, 403, 403, own, 403, 403, own, own, 401, 401, 403, 403, 401, not, 401},
	"manage": {401, 401, 401, 401, 401, not, 403, 403, own, 403, 403, own, 403, 401, 401, 403, 403, 401, not, 401},
	// What is of all tenants.
	"metrics": {401, 401, 401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 403, 401, 401, 403, 403, 401, own, own},
	"queue":   {401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, own},
	// What is not there: nothing is told of it to who has no key, and little to who may not do everything.
	"nothing": {401, 401, 401, 401, 401, own, 403, 403, own, 403, 403, own, own, 401, 401, 403, 403, 401, own, 401},
	"changed": {401, 401, 401, 401, 401, own, 403, 403, own, 403, 403, own, 403, 401, 401, 403, 403, 401, own, 401},
}

// visit is how a route is asked so that who may ask is served.
type visit struct {
	kind   string
	status int // served with
	header fields
	body   string
	ids    func(*matrix) []string // of acme's own, for each parameter of the path
	but    map[string]int         // what other credentials get than the kind's row says
}

func visited(kind string, status int, header fields, body string, ids func(*matrix) []string) visit {
	return visit{kind: kind, status: status, header: header, body: body, ids: ids}
}

var (
	jsonType = fields{"Content-Type": "application/json"}
	newBatch = `{"object":"FinancialTransaction","operation":"pipeline","content_type":"csv"}`
)

// visits has each route but those of which each is asked alike: the page's files.
var visits = map[string]visit{
	"OPTIONS /files/":     visited("asked", 204, tus(), "", nil),
	"OPTIONS /files/{id}": visited("known", 204, tus(), "", (*matrix).upload),
	"POST /files/":        visited("create", 201, tus("Upload-Length", "5"), "", nil),
	"HEAD /files/{id}":    visited("offset", 200, tus(), "", (*matrix).upload),
	"PATCH /files/{id}":   visited("bytes", 204, patchHeader(0), "12345", (*matrix).upload),
	"DELETE /files/{id}":  visited("bytes", 204, tus(), "", (*matrix).upload),

	"POST /api/financial-transactions/upload-file/": visited("door", 202,
		fields{"Content-Type": "multipart/form-data; boundary=x"},
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"+smallCSV+"\r\n--x--\r\n", nil),
	"POST /api/financial-transactions/stream-upload/":              visited("door", 202, fields{"Content-Type": "text/csv"}, smallCSV, nil),
	"POST /api/financial-transactions/process-transactions/":       visited("door", 202, jsonType, `{"data":[{"account_id":"a","date":"2024-01-02","amount":1}]}`, nil),
	"POST /api/financial-transactions/upload-chunked/":             visited("door", 202, jsonType, `{"chunk_data":[],"chunk_number":1,"total_chunks":2}`, nil),
	"GET /api/financial-transactions/upload-chunked/{session_id}/": visited("sent", 200, nil, "", (*matrix).chunks),
	"POST /api/financial-transactions/jobs/":                       visited("door", 201, jsonType, newBatch, nil),
	"PUT /api/financial-transactions/jobs/{id}/upload/":            visited("door", 200, fields{"Content-Type": "text/csv"}, smallCSV, (*matrix).batches),
	"PATCH /api/financial-transactions/jobs/{id}/complete/":        visited("door", 200, nil, "", (*matrix).batches),
	"GET /api/jobs/{id}/status/":                                   visited("follow", 200, nil, "", (*matrix).ended),
	"GET /api/jobs/{id}/events/":                                   visited("follow", 200, nil, "", (*matrix).ended),
	"GET /api/financial-transactions/jobs/{id}/status/":            visited("follow", 200, nil, "", (*matrix).ended),
	"GET /api/financial-transactions/jobs/{id}/events/":            visited("follow", 200, nil, "", (*matrix).ended),
	"GET /api/jobs/":                                             visited("read", 200, nil, "", nil),
	"GET /api/jobs/{id}/offers/":                                 visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/jobs/{id}/aggregates/":                             visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/jobs/{id}/portfolio/":                              visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/jobs/{id}/rejects/":                                visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/financial-transactions/jobs/{id}/offers/":          visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/financial-transactions/jobs/{id}/aggregates/":      visited("read", 200, nil, "", (*matrix).complete),
	"GET /api/financial-transactions/jobs/{id}/portfolio/":       visited("read", 200, nil, "", (*matrix).complete),
	"POST /api/jobs/{id}/cancel/":                                visited("manage", 202, nil, "", (*matrix).queuedJob),
	"POST /api/jobs/{id}/retry/":                                 visited("manage", 202, nil, "", (*matrix).failed),
	"DELETE /api/jobs/{id}/":                                     visited("manage", 204, nil, "", (*matrix).complete),
	"POST /api/jobs/webhooks/register/":                          visited("manage", 201, jsonType, `{"webhook_url":"https://example.com/","event_types":["job_failed"]}`, nil),
	"GET /api/jobs/webhooks/list/":                               visited("look", 200, nil, "", nil),
	"DELETE /api/jobs/webhooks/{id}/":                            visited("manage", 204, nil, "", (*matrix).webhook),
	"POST /api/jobs/webhooks/{id}/enable/":                       visited("manage", 204, nil, "", (*matrix).webhook),
	"POST /api/jobs/webhooks/{id}/rotate/":                       visited("manage", 200, nil, "", (*matrix).webhook),
	"GET /api/jobs/webhooks/{id}/deliveries/":                    visited("look", 200, nil, "", (*matrix).webhook),
	"POST /api/jobs/webhooks/{id}/deliveries/{delivery}/replay/": visited("manage", 202, nil, "", (*matrix).delivery),
	"GET /api/watches/":                                          visited("look", 200, nil, "", nil),
	"POST /api/watches/":                                         visited("manage", 403, jsonType, `{"bucket":"elsewhere"}`, nil), // in no area of anybody's
	"GET /api/watches/{id}/":                                     visited("look", 200, nil, "", (*matrix).watch),
	"DELETE /api/watches/{id}/":                                  visited("manage", 204, nil, "", (*matrix).watch),
	"GET /api/audit/":                                            visited("look", 200, nil, "", nil),
	"POST /api/erasures/":                                        visited("manage", 400, jsonType, `{"tenant":"other"}`, nil), // the real one closes a tenant: TestErasures
	"GET /api/erasures/{id}/":                                    visited("look", 404, nil, "", nil),                          // there is none
	"POST /api/upload-tokens/":                                   visited("manage", 201, jsonType, `{"max_bytes":10}`, nil),

	"GET /session":    visited("open", 200, nil, "", nil),
	"POST /session":   visited("enter", 204, nil, "", nil),
	"DELETE /session": visited("leave", 204, nil, "", nil),
	"POST /hooks/s3":  visited("hook", 0, nil, "{}", nil),
	"GET /healthz":    visited("open", 200, nil, "", nil),
	"GET /readyz":     visited("open", 200, nil, "", nil),
	"GET /metrics":    visited("metrics", 200, nil, "", nil),

	"GET /admin/queue":      visited("queue", 200, nil, "", nil),
	"POST /admin/queue":     visited("queue", 405, nil, "", nil),
	"PUT /admin/queue":      visited("queue", 405, nil, "", nil),
	"PATCH /admin/queue":    visited("queue", 405, nil, "", nil),
	"DELETE /admin/queue":   visited("queue", 405, nil, "", nil),
	"GET /admin/queue/*":    visited("queue", 200, nil, "", nil),
	"POST /admin/queue/*":   visited("queue", 405, nil, "", nil),
	"PUT /admin/queue/*":    visited("queue", 405, nil, "", nil),
	"PATCH /admin/queue/*":  visited("queue", 405, nil, "", nil),
	"DELETE /admin/queue/*": visited("queue", 405, nil, "", nil),
}

// visitOf returns how a route is asked, and false where nobody said: that fails the test.
func visitOf(route string) (visit, bool) {
	method, path, _ := strings.Cut(route, " ")
	if v, ok := visits[route]; ok {
		return v, true
	}
	if v, ok := visits["GET "+path]; ok && method == http.MethodHead {
		return v, true
	}
	page := slices.Contains([]string{"/", "/docs", "/app.js", "/docs.js", "/style.css", "/openapi.yaml"}, path)
	return visited("open", 200, nil, "", nil), page && (method == http.MethodGet || method == http.MethodHead)
}

// TestWhoMayAskWhat asks each route that the router has with all that a request may
// come with. What is refused changes nothing: behind all refusals the first who may
// ask is served, of the same upload or job.
func TestWhoMayAskWhat(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	for _, route := range gateway.Routes() {
		v, ok := visitOf(route)
		if !ok {
			t.Errorf("%s is in no table: say who may ask for it, and how", route)
			continue
		}
		m.tryAll(route, v)
	}
}

func (m *matrix) tryAll(route string, v visit) {
	m.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	row := table[v.kind]
	if len(row) != len(credentials) {
		m.t.Fatalf("the row of %s has %d cells", v.kind, len(row))
	}
	var ids []string
	if v.ids != nil {
		ids = v.ids(m)
	}
	var served []string
	for _, credential := range slices.Concat(credentials, slices.Sorted(maps.Keys(likened))) {
		want := row[column(credential)]
		if other, ok := v.but[credential]; ok {
			want = other
		}
		if want == not {
			if want = own; v.ids != nil {
				want = http.StatusNotFound
			}
		}
		if want == own {
			served = append(served, credential)
			continue
		}
		if a := m.ask(method, filled(path, ids), v, m.with(credential, v)); a.status != want {
			m.t.Errorf("%s with %s: %d, not %d: %s", route, credential, a.status, want, a.body)
		}
	}
	for i, credential := range served {
		if i > 0 && v.ids != nil {
			ids = v.ids(m)
		}
		if a := m.ask(method, filled(path, ids), v, m.with(credential, v)); a.status != v.status {
			m.t.Errorf("%s with %s: %d, not %d: %s", route, credential, a.status, v.status, a.body)
		}
	}
}

// TestWhoMayAskWhatIsNot asks each path with each method that it does not take, and
// some paths that are not there.
func TestWhoMayAskWhatIsNot(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	taken, paths := map[string]string{}, map[string]bool{"/none": true, "/api/none/": true}
	for _, route := range gateway.Routes() {
		_, path, _ := strings.Cut(route, " ")
		v, _ := visitOf(route)
		taken[route], paths[path] = v.kind, true
	}
	for path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			if _, ok := taken[method+" "+path]; ok {
				continue
			}
			v := visit{kind: "nothing", status: http.StatusMethodNotAllowed}
			if method != "GET" && method != "HEAD" && method != "OPTIONS" {
				v.kind = "changed"
			}
			switch kind := taken["GET "+path]; {
			case strings.HasPrefix(path, "/admin/"):
				v.kind = "queue"
			case kind == "open" || path == "/hooks/s3":
				v.kind = "open"
			case method == "DELETE" && strings.HasPrefix(path, "/api/jobs/webhooks/") && taken["DELETE "+path] == "" && !strings.Contains(path, "{"):
				v.status = http.StatusNotFound // there it is the id of a webhook
			case path == "/metrics":
				v.but = map[string]int{"SLUICE_ADMIN_KEY": own}
			case path == "/files/":
				v.but = map[string]int{"the upload's token": own, "another upload's token": own}
			case path == "/files/{id}" || kind == "follow": // whose id is looked at first
				v.but = map[string]int{"the upload's token": 404, "another upload's token": 404}
			case strings.Contains(path, "none"):
				v.status = http.StatusNotFound
			}
			if method == "OPTIONS" && v.status == http.StatusMethodNotAllowed {
				v.status = http.StatusNoContent // it says in Allow which it takes
			}
			m.tryAll(method+" "+strings.NewReplacer("{", "", "}", "").Replace(path), v)
		}
	}
}

// A foreign id and an unknown one get the same answer to the byte, but for what was
// asked: by every route that names one.
func TestForeignIsUnknown(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	named := 0
	for _, route := range gateway.Routes() {
		method, path, _ := strings.Cut(route, " ")
		v, ok := visitOf(route)
		if !ok || v.ids == nil || method == http.MethodOptions {
			continue
		}
		named++
		theirs := v.ids(m)
		unknown := make([]string, len(theirs))
		for i, id := range theirs {
			last := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(id, "0")]
			unknown[i] = id[:len(id)-1] + last
		}
		for _, header := range []fields{bearer(m.keys["rival admin"].Text), bearer("secret-key"), m.session(m.keys["rival admin"])} {
			var got [2]string
			for i, ids := range [][]string{theirs, unknown} {
				a := m.ask(method, filled(path, ids), v, header)
				a.header.Del("Date")
				a.header.Del("X-Request-Id")
				got[i] = fmt.Sprint(a.status, a.header, strings.ReplaceAll(a.body, strings.TrimSuffix(filled(path, ids), "/"), "PATH"))
				if a.status != http.StatusNotFound {
					t.Errorf("%s of another's: %d %s", route, a.status, a.body)
				}
			}
			if got[0] != got[1] {
				t.Errorf("%s of another's and of nobody's:\n%s\n%s", route, got[0], got[1])
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d routes name an id", named)
	}
}

// What is complete is a job's, and its deletion takes who may manage jobs.
func TestUploadKeyDeletesNoJob(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	path := "/files/" + m.upload()[0]
	key := bearer(m.keys["acme upload"].Text)
	if a := m.do(http.MethodPatch, path, key.with("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"), strings.NewReader("12345")); a.status != http.StatusNoContent {
		t.Fatalf("send: %d %s", a.status, a.body)
	}
	wantProblem(t, m.do(http.MethodDelete, path, key.with(), nil), http.StatusForbidden, path)
	if a := m.do(http.MethodDelete, path, bearer(m.keys["acme admin"].Text).with(), nil); a.status != http.StatusNoContent {
		t.Errorf("by an admin: %d %s", a.status, a.body)
	}
}
