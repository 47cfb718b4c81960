package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/gateway"
	"sluice/internal/job"
)

// limited sets quotas of the default tenant's.
func (s *server) limited(edit func(*job.Quotas)) {
	s.t.Helper()
	if _, err := s.jobs.SetLimits(s.t.Context(), job.DefaultTenant, func(l *job.Limits) { edit(&l.Quotas) }); err != nil {
		s.t.Fatal(err)
	}
}

// wantRefused checks that an answer tells which limit refused its request, and when to come again.
func (s *server) wantRefused(a answer, status int, limit job.Limit, most int64) {
	s.t.Helper()
	var p struct {
		Status int    `json:"status"`
		Type   string `json:"type"`
		Limit  struct {
			Name job.Limit `json:"name"`
			Max  int64     `json:"max"`
		} `json:"limit"`
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != status || p.Status != status || p.Limit.Name != limit || p.Limit.Max != most {
		s.t.Errorf("got %d %s, want %d for %s of %d", a.status, a.body, status, limit, most)
	}
	if want := "urn:problem-type:sluice:limit_" + string(limit); p.Type != want {
		s.t.Errorf("type is %s, want %s", p.Type, want)
	}
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); status != http.StatusRequestEntityTooLarge && (err != nil || wait < 1) {
		s.t.Errorf("Retry-After is %q for %s", a.header.Get("Retry-After"), limit)
	}
	if metrics := s.get("/metrics").body; !strings.Contains(metrics, fmt.Sprintf(`sluice_limit_refusals_total{limit=%q}`, limit)) {
		s.t.Errorf("metrics do not count refusals for %s", limit)
	}
}

// ways are all by which a file comes in over HTTP, each as one that sends smallCSV,
// or as many bytes of JSON, and returns the first answer that is no success.
var ways = map[string]func(*server) answer{
	"tus": func(s *server) answer {
		a := s.do("POST", "/files/", tus("Upload-Length", strconv.Itoa(len(smallCSV))), nil)
		if a.status != http.StatusCreated {
			return a
		}
		return s.patch(a.header.Get("Location"), 0, strings.NewReader(smallCSV))
	},
	"tus, of a length told later": func(s *server) answer {
		a := s.do("POST", "/files/", tus("Upload-Defer-Length", "1"), nil)
		if a.status != http.StatusCreated {
			return a
		}
		return s.patch(a.header.Get("Location"), 0, strings.NewReader(smallCSV))
	},
	"tus, created with its bytes": func(s *server) answer {
		return s.do("POST", "/files/", tus("Upload-Length", strconv.Itoa(len(smallCSV)), "Content-Type", "application/offset+octet-stream"), strings.NewReader(smallCSV))
	},
	"tus, a partial upload": func(s *server) answer {
		return s.do("POST", "/files/", tus("Upload-Concat", "partial", "Upload-Length", strconv.Itoa(len(smallCSV)), "Content-Type", "application/offset+octet-stream"), strings.NewReader(smallCSV))
	},
	"stream-upload": func(s *server) answer {
		return s.do("POST", doorsPath+"stream-upload/", fields{"Content-Type": "text/csv"}, strings.NewReader(smallCSV))
	},
	"upload-file": func(s *server) answer {
		header, body := form(s.t, "file", smallCSV)
		return s.do("POST", doorsPath+"upload-file/", header, body)
	},
	"process-transactions": func(s *server) answer {
		return s.do("POST", doorsPath+"process-transactions/", fields{"Content-Type": "application/json"}, strings.NewReader(`{"data":`+oneRow+`}`))
	},
	"upload-chunked": func(s *server) answer { return s.chunk(chunkBody("s", 1, 1, oneRow)) },
	"bulk": func(s *server) answer {
		a := s.do(http.MethodPost, doorsPath+"jobs/", fields{"Content-Type": "application/json"}, strings.NewReader(newBatch))
		if a.status != http.StatusCreated {
			return a
		}
		var opened struct {
			ID string `json:"job_id"`
		}
		decode(s.t, a.body, &opened)
		return s.batch(opened.ID, "", smallCSV)
	},
}

const oneRow = `[{"account_id":"a","date":"2024-01-02","amount":1}]`

// TestQuotas: what a tenant may send and store is refused by each way in, alike, and
// leaves no byte; another tenant's limits are nobody else's.
func TestQuotas(t *testing.T) {
	t.Parallel()
	for way, send := range ways {
		for _, quota := range []struct {
			limit  job.Limit
			most   int64
			status int
			set    func(*job.Quotas, *int64)
		}{
			{job.LimitUploadBytes, 10, http.StatusRequestEntityTooLarge, func(q *job.Quotas, n *int64) { q.MaxUploadBytes = n }},
			{job.LimitDayBytes, 10, http.StatusTooManyRequests, func(q *job.Quotas, n *int64) { q.MaxDayBytes = n }},
			{job.LimitStoredBytes, 10, http.StatusInsufficientStorage, func(q *job.Quotas, n *int64) { q.MaxStoredBytes = n }},
			{job.LimitOpenUploads, 0, http.StatusTooManyRequests, func(q *job.Quotas, n *int64) { q.MaxOpenUploads = n }},
			{job.LimitJobs, 0, http.StatusTooManyRequests, func(q *job.Quotas, n *int64) { q.MaxJobs = n }},
		} {
			if way == "tus, a partial upload" && quota.limit == job.LimitJobs || way == "upload-chunked" && quota.limit == job.LimitOpenUploads {
				continue // it has no job; and what one request brings whole is never open
			}
			t.Run(way+"/"+string(quota.limit), func(t *testing.T) {
				t.Parallel()
				s := start(t)
				s.limited(func(q *job.Quotas) { quota.set(q, &quota.most) })
				s.wantRefused(send(s), quota.status, quota.limit, quota.most)
				if keys := s.objects(""); len(keys) != 0 {
					t.Errorf("objects are left: %v", keys)
				}
				s.limited(func(q *job.Quotas) { quota.set(q, nil) })
				if a := send(s); a.status > 299 {
					t.Errorf("without the limit: %d %s", a.status, a.body)
				}
			})
		}
	}
}

// TestQuotasOfEverybody: the limits of * are of each tenant that has none of its own.
func TestQuotasOfEverybody(t *testing.T) {
	t.Parallel()
	s := start(t)
	set := func(tenant string, most *int64) {
		t.Helper()
		if _, err := s.jobs.SetLimits(t.Context(), tenant, func(l *job.Limits) { l.MaxOpenUploads = most }); err != nil {
			t.Fatal(err)
		}
	}
	open := func() answer { return s.do("POST", "/files/", tus("Upload-Length", "5"), nil) }
	set(job.Everybody, new(int64(1)))
	if a := open(); a.status != http.StatusCreated {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	s.wantRefused(open(), http.StatusTooManyRequests, job.LimitOpenUploads, 1)
	set(job.DefaultTenant, new(int64(2)))
	if a := open(); a.status != http.StatusCreated {
		t.Errorf("with a limit of its own: %d %s", a.status, a.body)
	}
	s.wantRefused(open(), http.StatusTooManyRequests, job.LimitOpenUploads, 2)
}

// TestQuotasAreExact: of many that come at two gateways at once, as many as may are let in.
func TestQuotasAreExact(t *testing.T) {
	t.Parallel()
	s := start(t)
	servers := []*server{s, s.rival()}
	const most, clients = 5, 20
	s.limited(func(q *job.Quotas) { q.MaxOpenUploads = new(int64(most)) })
	files := make(chan string, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			a, err := servers[i%2].try("POST", "/files/", tus("Upload-Length", "5"), nil)
			if err != nil {
				t.Error(err)
			} else if a.status == http.StatusCreated {
				files <- a.header.Get("Location")
			} else {
				servers[i%2].wantRefused(a, http.StatusTooManyRequests, job.LimitOpenUploads, most)
			}
		})
	}
	all.Wait()
	if close(files); len(files) != most {
		t.Errorf("%d of %d were let in", len(files), most)
	}
	s.limited(func(q *job.Quotas) { *q = job.Quotas{MaxDayBytes: new(int64(12))} })
	var stored int
	for file := range files {
		all.Go(func() {
			if a := s.patch(file, 0, strings.NewReader("12345")); a.status != http.StatusNoContent {
				s.wantRefused(a, http.StatusTooManyRequests, job.LimitDayBytes, 12)
			}
		})
	}
	all.Wait()
	if err := s.pool.QueryRow(t.Context(), `SELECT sum(offset_bytes) FROM uploads`).Scan(&stored); err != nil || stored != 10 {
		t.Errorf("%d bytes were taken, %v", stored, err)
	}
}

// TestRefusedInTheMiddle: an upload that a limit stops keeps its offset, tells it, and goes
// on when the limit allows.
func TestRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := s.create(tus("Upload-Length", "10"))
	if a := s.patch(file, 0, strings.NewReader("12345")); a.status != http.StatusNoContent {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	s.limited(func(q *job.Quotas) { q.MaxStoredBytes = new(int64(7)) })
	a := s.patch(file, 5, strings.NewReader("67890"))
	s.wantRefused(a, http.StatusInsufficientStorage, job.LimitStoredBytes, 7)
	if got := a.header.Get("Upload-Offset"); got != "5" {
		t.Errorf("Upload-Offset is %q", got)
	}
	s.wantHead(file, fields{"Upload-Offset": "5"})
	s.limited(func(q *job.Quotas) { q.MaxStoredBytes = new(int64(10)) })
	if a := s.patch(file, 5, strings.NewReader("67890")); a.status != http.StatusNoContent {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	j := s.wantQueued(file, []byte("1234567890"))
	s.wantRefused(ways["tus"](s), http.StatusInsufficientStorage, job.LimitStoredBytes, 10)
	if a := s.do("DELETE", "/api/jobs/"+j.ID+"/", nil, nil); a.status != http.StatusNoContent {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if a := s.patch(s.create(tus("Upload-Length", "10")), 0, strings.NewReader("1234567890")); a.status != http.StatusNoContent {
		t.Errorf("what was deleted is still counted: %d %s", a.status, a.body)
	}
}

// TestRetryIsAJobUnderWay: a job that is tried again is counted like a new one.
func TestRetryIsAJobUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.accepted(ways["stream-upload"](s)).ID
	if a := s.do("POST", "/api/jobs/"+id+"/cancel/", nil, nil); a.status != http.StatusAccepted {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	s.limited(func(q *job.Quotas) { q.MaxJobs = new(int64(1)) })
	s.accepted(ways["stream-upload"](s))
	s.wantRefused(s.do("POST", "/api/jobs/"+id+"/retry/", nil, nil), http.StatusTooManyRequests, job.LimitJobs, 1)
}

// TestTooManyRequests: one more that brings bytes than may be under way is told so, by
// each way in, and may come later; who brings none is not refused.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.TenantRequests = 1 })
	file := s.create(tus("Upload-Length", strconv.Itoa(len(smallCSV))))
	r, w := io.Pipe()
	first := make(chan answer, 1)
	go func() { first <- s.patch(file, 0, r) }()
	if _, err := io.WriteString(w, smallCSV[:1]); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return s.count("uploads WHERE epoch = 1") == 1 })
	for way, send := range ways {
		t.Log(way)
		s.wantRefused(send(s), http.StatusTooManyRequests, job.LimitTenantRequests, 1)
	}
	s.wantHead(file, fields{"Upload-Offset": "0"})
	if _, err := io.WriteString(w, smallCSV[1:]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if a := <-first; a.status != http.StatusNoContent {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	s.wantQueued(file, []byte(smallCSV))
	s.accepted(ways["stream-upload"](s))
}

// TestTooManyRequestsInASecond: at a rate of less than one in a second the first is
// let in, and those behind it are told when to come again, of a tenant and of an address.
// HEAD gets the one answer on which clients do not begin anew.
func TestTooManyRequestsInASecond(t *testing.T) {
	t.Parallel()
	for limit, edit := range map[job.Limit]func(*gateway.Config){
		job.LimitTenantRate:  func(c *gateway.Config) { c.TenantRate = 1e-3 },
		job.LimitAddressRate: func(c *gateway.Config) { c.AddressRate = 1e-3 },
	} {
		s := start(t, edit)
		file := s.create(tus("Upload-Length", "5"))
		a := s.do("POST", "/files/", tus("Upload-Length", "5"), nil)
		if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != http.StatusTooManyRequests || err != nil || wait < 2 || wait > 1000 {
			t.Errorf("%s: got %d %s, Retry-After %q", limit, a.status, a.body, a.header.Get("Retry-After"))
		}
		if got := a.header.Get("Sluice-Limit"); got != string(limit)+"; max=1" {
			t.Errorf("%s: Sluice-Limit is %q", limit, got)
		}
		if a := s.do("HEAD", file, tus(), nil); a.status != http.StatusLocked || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: HEAD got %d, Retry-After %q", limit, a.status, a.header.Get("Retry-After"))
		}
		if a := s.get("/readyz"); a.status != http.StatusOK {
			t.Errorf("%s: a flooded gateway is not ready: %d", limit, a.status)
		}
		if n := s.count("uploads"); n != 1 {
			t.Errorf("%s: there are %d uploads", limit, n)
		}
	}
}

// TestClientAddress: X-Forwarded-For is believed where the peer is a trusted proxy,
// and of what it says the last address that no trusted proxy has.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	type from struct {
		forwarded string
		let       bool
	}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		asks    []from
	}{
		"nobody is trusted": {nil, []from{{"198.51.100.1", true}, {"198.51.100.2", false}}},
		"the peer is": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []from{
			{"198.51.100.1", true},
			{"198.51.100.2", true},
			{"203.0.113.7, 198.51.100.1", false}, // the first is what its client made up
			{"2001:db8::1", true},
			{"2001:db8::2", false}, // of one network
			{"2001:db8:0:1::1", true},
		}},
	} {
		s := start(t, func(cfg *gateway.Config) { cfg.AddressRate, cfg.TrustedProxies = 1e-3, c.trusted })
		for _, ask := range c.asks {
			a := s.do("GET", "/api/jobs/", fields{"X-Forwarded-For": ask.forwarded}, nil)
			if let := a.status == http.StatusOK; let != ask.let {
				t.Errorf("%s: from %q: %d %s", name, ask.forwarded, a.status, a.body)
			}
		}
	}
}

// TestAddressesAreNotKeptForEver: as many as come in a burst, and a few.
func TestAddressesAreNotKeptForEver(t *testing.T) {
	t.Parallel()
	kept := gateway.Strangers(10_000)
	if kept > 3000 {
		t.Errorf("%d are kept", kept)
	}
}

// count is how many rows there are.
func (s *server) count(from string) (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}
