package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/job"
	"sluice/internal/webhook"
)

const hooks = "/api/jobs/webhooks/"

func (s *server) register(body string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, hooks+"register/", fields{"Content-Type": "application/json"}, strings.NewReader(body))
}

// registered registers a webhook for every event and returns its id and secret.
func (s *server) registered() (id, secret string) {
	s.t.Helper()
	a := s.register(`{"webhook_url":"https://example.com/hook","event_types":["job_completed","job_failed","job_aborted"]}`)
	var got struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusCreated {
		s.t.Fatalf("register: %d %s", a.status, a.body)
	}
	return got.ID, got.Secret
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := start(t)
	id, secret := s.registered()
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("secret %q", secret)
	}
	a := s.get(hooks + "list/")
	if a.status != http.StatusOK || !strings.Contains(a.body, id) || !strings.Contains(a.body, `"enabled":true`) || strings.Contains(a.body, "whsec_") {
		t.Errorf("list: %d %s", a.status, a.body)
	}
	a = s.do(http.MethodPost, hooks+id+"/rotate/", nil, nil)
	if a.status != http.StatusOK || !strings.Contains(a.body, "whsec_") || strings.Contains(a.body, secret) {
		t.Errorf("rotate: %d %s", a.status, a.body)
	}
	ended := s.in(job.Aborted)
	a = s.get(hooks + id + "/deliveries/")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"job_aborted"`) || !strings.Contains(a.body, ended) || strings.Contains(a.body, "whsec_") {
		t.Errorf("deliveries: %d %s", a.status, a.body)
	}
	var log struct{ Deliveries []struct{ ID string } }
	if err := json.Unmarshal([]byte(a.body), &log); err != nil || len(log.Deliveries) != 1 {
		t.Fatalf("deliveries: %v, %s", err, a.body)
	}
	if a := s.do(http.MethodPost, hooks+id+"/deliveries/"+log.Deliveries[0].ID+"/replay/", nil, nil); a.status != http.StatusAccepted {
		t.Errorf("replay: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodPost, hooks+id+"/enable/", nil, nil); a.status != http.StatusNoContent {
		t.Errorf("enable: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodDelete, hooks+id+"/", nil, nil); a.status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := s.get(hooks + "list/"); !strings.Contains(a.body, `"webhooks":[]`) {
		t.Errorf("list: %s", a.body)
	}
	if strings.Contains(s.log.String(), "whsec_") || strings.Contains(s.log.String(), strings.TrimPrefix(secret, "whsec_")) {
		t.Error("the log holds a secret")
	}
}

// Another tenant's webhook, and its deliveries, are what does not exist.
func TestWebhooksOfOthers(t *testing.T) {
	t.Parallel()
	s := start(t)
	foreign, err := s.jobs.RegisterWebhook(t.Context(), job.Webhook{Tenant: "other", URL: "https://example.com/", EventTypes: job.EventTypes()}, webhook.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	mine, _ := s.registered()
	unknown := mine[:len(mine)-4] + "0000"
	for _, call := range [][2]string{
		{http.MethodDelete, ""},
		{http.MethodPost, "enable/"},
		{http.MethodPost, "rotate/"},
		{http.MethodGet, "deliveries/"},
		{http.MethodPost, "deliveries/msg_01kb3v9w7yfqv8x2m5n6p7q8r9/replay/"},
	} {
		var bodies [3]string
		for i, id := range []string{foreign, unknown, "wh_%00"} {
			a := s.do(call[0], hooks+id+"/"+call[1], nil, nil)
			bodies[i] = strings.ReplaceAll(a.body, a.instance(t), "")
			if a.status != http.StatusNotFound {
				t.Errorf("%s %s of %s: %d %s", call[0], call[1], id, a.status, a.body)
			}
		}
		if bodies[0] != bodies[1] || bodies[0] != bodies[2] {
			t.Errorf("%s %s tells them apart: %q", call[0], call[1], bodies)
		}
	}
	if a := s.get(hooks + "list/"); strings.Contains(a.body, foreign) {
		t.Errorf("the list has another tenant's: %s", a.body)
	}
	theirs := s.queued(job.Draft{Tenant: "other", Filename: "a.csv"})
	for _, id := range []string{theirs, job.NewID(), "x"} {
		if a := s.register(`{"webhook_url":"https://example.com/","event_types":["job_failed"],"job_id":"` + id + `"}`); a.status != http.StatusNotFound {
			t.Errorf("register for %s: %d %s", id, a.status, a.body)
		}
	}
}

// instance is the path that a problem repeats.
func (a answer) instance(t *testing.T) string {
	t.Helper()
	var p struct{ Instance string }
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	text, _ := json.Marshal(p.Instance)
	return string(text)
}

func TestWebhookRegistrationIsChecked(t *testing.T) {
	t.Parallel()
	s := start(t)
	for body, status := range map[string]int{
		``:   http.StatusBadRequest,
		`[]`: http.StatusBadRequest,
		`{"webhook_url":"https://example.com/","event_types":["job_failed"]} x`:                                  http.StatusBadRequest,
		`{"webhook_url":"https://example.com/","event_types":["job_failed"],"secret":"mine"}`:                    http.StatusBadRequest,
		`{"webhook_url":"https://example.com/","event_types":[]}`:                                                http.StatusBadRequest,
		`{"webhook_url":"https://example.com/","event_types":["job_exploded"]}`:                                  http.StatusBadRequest,
		`{"webhook_url":"file:///etc/passwd","event_types":["job_failed"]}`:                                      http.StatusBadRequest,
		`{"webhook_url":"https://a:b@example.com/","event_types":["job_failed"]}`:                                http.StatusBadRequest,
		`{"webhook_url":"https://example.com/` + strings.Repeat("x", 20<<10) + `","event_types":["job_failed"]}`: http.StatusRequestEntityTooLarge,
	} {
		if a := s.register(body); a.status != status {
			t.Errorf("%.80s: %d %s", body, a.status, a.body)
		}
	}
	for range 100 {
		s.registered()
	}
	if a := s.register(`{"webhook_url":"https://example.com/","event_types":["job_failed"]}`); a.status != http.StatusConflict {
		t.Errorf("one more than there may be: %d %s", a.status, a.body)
	}
}

// What a customer's browser carries opens no webhook, and neither does nothing.
func TestWebhooksTakeTheKey(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	id, err := s.jobs.RegisterWebhook(t.Context(), job.Webhook{Tenant: job.DefaultTenant, URL: "https://example.com/", EventTypes: job.EventTypes()}, webhook.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	token := s.token(`{"max_bytes":10}`)
	for _, call := range [][2]string{
		{http.MethodPost, "register/"},
		{http.MethodGet, "list/"},
		{http.MethodDelete, id + "/"},
		{http.MethodPost, id + "/enable/"},
		{http.MethodPost, id + "/rotate/"},
		{http.MethodGet, id + "/deliveries/"},
		{http.MethodPost, id + "/deliveries/msg_01kb3v9w7yfqv8x2m5n6p7q8r9/replay/"},
	} {
		if a := s.do(call[0], hooks+call[1], token, nil); a.status != http.StatusForbidden {
			t.Errorf("%s %s with an upload token: %d %s", call[0], call[1], a.status, a.body)
		}
		if a := s.do(call[0], hooks+call[1], nil, nil); a.status != http.StatusUnauthorized {
			t.Errorf("%s %s without a key: %d %s", call[0], call[1], a.status, a.body)
		}
	}
}
