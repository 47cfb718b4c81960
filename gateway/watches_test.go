package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/gateway"
	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/drop"
)

// partner is a bucket that the tenant may watch below drops/.
func partner(t *testing.T, edit ...func(*gateway.Config)) (*server, *blob.Bucket) {
	t.Helper()
	own := devtest.Bucket(t)
	bucket := own.Other(devtest.S3Config(t).Bucket)
	return startOn(t, devtest.Database(t), own, append(edit, func(c *gateway.Config) {
		c.HookSecret = "hush"
		c.WatchAreas = []drop.Area{{Tenant: "default", Bucket: bucket.Name(), Prefix: "drops/"}, {Tenant: "rival", Bucket: bucket.Name()}}
	})...), bucket
}

func (s *server) send(path, body string, header fields) answer {
	s.t.Helper()
	return s.do(http.MethodPost, path, header, strings.NewReader(body))
}

func TestWatches(t *testing.T) {
	t.Parallel()
	s, bucket := partner(t)
	json := fields{"Content-Type": "application/json"}
	body := fmt.Sprintf(`{"bucket":%q,"prefix":"drops/in/","suffixes":[".csv"],"after":"tag","in_order":true,"backfill":"all","parse_config":{"delimiter":";"}}`, bucket.Name())
	added := s.send("/api/watches/", body, json)
	var w struct{ ID, Prefix, After string }
	decode(t, added.body, &w)
	if added.status != http.StatusCreated || w.Prefix != "drops/in/" || w.After != "tag" || !strings.Contains(added.body, `"parse_config":{"delimiter":";"}`) || !strings.Contains(added.body, `"since":null`) {
		t.Fatalf("%d %s", added.status, added.body)
	}
	if a := s.get("/api/watches/" + w.ID + "/"); a.status != http.StatusOK || a.body != added.body {
		t.Errorf("%d %s, want %s", a.status, a.body, added.body)
	}
	if a := s.get("/api/watches/"); a.status != http.StatusOK || !strings.Contains(a.body, w.ID) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.send("/api/watches/", body, json); a.status != http.StatusConflict || !strings.Contains(a.body, "watch_overlaps") {
		t.Errorf("the same again: %d %s", a.status, a.body)
	}
	_, err := s.pool.Exec(t.Context(), `INSERT INTO watches (id, tenant, bucket, prefix, suffixes, credit_model_config, aggregate_config, parse_config, after, move_to, in_order)
		SELECT replace(id, 'watch_0', 'watch_1'), 'rival', bucket, 'theirs/', suffixes, '', '', '', 'keep', '', false FROM watches`)
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.Replace(w.ID, "watch_0", "watch_1", 1)
	for _, id := range []string{theirs, "watch_00000000000000000000000000", "job_x", "x"} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			if a := s.do(method, "/api/watches/"+id+"/", nil, nil); a.status != http.StatusNotFound || !strings.Contains(a.body, "There is no such watch.") {
				t.Errorf("%s %s: %d %s", method, id, a.status, a.body)
			}
		}
	}
	if a := s.do(http.MethodDelete, "/api/watches/"+w.ID, nil, nil); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.get("/api/watches/"); a.body != `{"watches":[]}`+"\n" {
		t.Errorf("left: %s", a.body)
	}
}

// Sluice's credentials read every bucket: who holds a key watches what the operator
// lets its tenant watch, and learns nothing of the rest.
func TestWatchesAreKeptWithinAreas(t *testing.T) {
	t.Parallel()
	s, bucket := partner(t)
	for name, c := range map[string]struct {
		body, want string
		status     int
	}{
		"elsewhere in the bucket": {`{"bucket":"BUCKET","prefix":"payroll/"}`, "watch_not_allowed", 403},
		"more than the area":      {`{"bucket":"BUCKET","prefix":"drops"}`, "watch_not_allowed", 403},
		"another bucket":          {`{"bucket":"there-is-none","prefix":"drops/"}`, "watch_not_allowed", 403},
		"Sluice's own bucket":     {`{"bucket":"OWN"}`, "watch_not_allowed", 403},
		"moving out of the area":  {`{"bucket":"BUCKET","prefix":"drops/","after":"move","move_to":"payroll/"}`, "watch_not_allowed", 403},
		"another tenant's name":   {`{"bucket":"BUCKET","prefix":"x/","tenant":"rival"}`, "JSON object", 400},
		"a bad setting":           {`{"bucket":"BUCKET","prefix":"drops/","parse_config":{"delimiter":7}}`, "parse_config.delimiter", 400},
		"a bad date":              {`{"bucket":"BUCKET","prefix":"drops/","backfill":"soon"}`, "backfill", 400},
		"a bad after":             {`{"bucket":"BUCKET","prefix":"drops/","after":"burn"}`, "after", 400},
		"no JSON":                 {`bucket=BUCKET`, "JSON object", 400},
		"a number for a name":     {`{"bucket":7}`, "contract; bucket is a number", 400},
	} {
		body := strings.NewReplacer("BUCKET", bucket.Name(), "OWN", s.bucket.Name()).Replace(c.body)
		if a := s.send("/api/watches/", body, nil); a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestHook(t *testing.T) {
	t.Parallel()
	s, bucket := partner(t, func(c *gateway.Config) { c.APIKey = "key" })
	key := fields{"Authorization": "Bearer key"}
	if a := s.send("/api/watches/", fmt.Sprintf(`{"bucket":%q,"prefix":"drops/"}`, bucket.Name()), key); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := bucket.Put(t.Context(), "drops/a b.csv", []byte("x")); err != nil {
		t.Fatal(err)
	}
	event := fmt.Sprintf(`{"Records":[{"s3":{"bucket":{"name":%q},"object":{"key":"drops%%2Fa+b.csv"}}}]}`, bucket.Name())
	for name, header := range map[string]fields{
		"none": nil, "the API key": key, "another": {"Authorization": "Bearer hus"}, "an empty one": {"Authorization": "Bearer "},
		"a user name": {"Authorization": "Basic aHVzOmh1cw=="},
	} {
		if a := s.send("/hooks/s3", event, header); a.status != http.StatusUnauthorized {
			t.Errorf("with the secret %s: %d %s", name, a.status, a.body)
		}
	}
	if jobs := s.do(http.MethodGet, "/api/jobs/", key, nil); !strings.Contains(jobs.body, `"jobs":[]`) {
		t.Errorf("forged: %s", jobs.body)
	}
	secret := fields{"Authorization": "Bearer hush"}
	if a := s.send("/hooks/s3", event, secret); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	basic := fields{"Authorization": "Basic c2x1aWNlOmh1c2g="} // sluice:hush
	if a := s.send("/hooks/s3/", event, basic); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	jobs := s.do(http.MethodGet, "/api/jobs/", key, nil)
	if strings.Count(jobs.body, `"job_id"`) != 1 || !strings.Contains(jobs.body, `"channel":"s3","filename":"a b.csv"`) {
		t.Errorf("jobs: %s", jobs.body)
	}
	for body, status := range map[string]int{"{}": 400, "": 400, "x": 400, `{"Records":[]}`: 204, strings.Repeat(" ", 4<<20) + "{}": 413} {
		if a := s.send("/hooks/s3", body, secret); a.status != status {
			t.Errorf("%.20s: %d %s", body, a.status, a.body)
		}
	}
	closed := start(t)
	if a := closed.send("/hooks/s3", event, fields{"Authorization": "Bearer "}); a.status != http.StatusNotFound {
		t.Errorf("without a secret: %d %s", a.status, a.body)
	}
}

func TestClosedDoor(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.Drops, c.HookSecret = nil, "hush" })
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if a := s.do(method, "/api/watches/", nil, nil); a.status != http.StatusNotFound {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := s.send("/hooks/s3", "{}", fields{"Authorization": "Bearer hush"}); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
}
