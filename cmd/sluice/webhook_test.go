package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestKilledWhileDelivering: the worker is killed after a webhook's receiver has
// the event and before that is recorded; another delivers it again, with the same
// webhook-id, so that the receiver can tell.
func TestKilledWhileDelivering(t *testing.T) {
	t.Parallel()
	env := append(stackEnv(t), "SLUICE_WEBHOOK_ALLOW=127.0.0.0/8")
	came, hold := make(chan http.Header, 2), make(chan struct{})
	var secret string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if by, err := standardwebhooks.NewWebhook(secret); err != nil || by.Verify(body, r.Header) != nil {
			t.Errorf("the signature of %s is not right: %v", body, r.Header)
		}
		came <- r.Header
		<-hold // the first one is never answered
	}))
	defer receiver.Close()
	first := serve(t, env, "127.0.0.1:0")
	secret = register(t, first.url, receiver.URL)
	id := upload(t, first.url, newSample(t, 100).path)
	before := <-came
	first.kill(t)
	close(hold)
	conn, err := pgx.Connect(t.Context(), setting(t, env, "SLUICE_DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	// The dead worker's minute is over.
	if _, err := conn.Exec(t.Context(), `UPDATE deliveries SET due_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	second := serve(t, env, "127.0.0.1:0")
	after := <-came
	if a, b := before.Get("webhook-id"), after.Get("webhook-id"); a == "" || a != b {
		t.Errorf("first %q, then %q", a, b)
	}
	eventually(t, "the delivery to be recorded", func(ctx context.Context) bool {
		var job, state string
		var attempts int
		err := conn.QueryRow(ctx, `SELECT job_id, state, (SELECT count(*) FROM delivery_attempts) FROM deliveries`).Scan(&job, &state, &attempts)
		return err == nil && job == id && state == "delivered" && attempts == 1
	})
	second.stop(t)
}

func register(t *testing.T, server, url string) (secret string) {
	t.Helper()
	body := strings.NewReader(`{"webhook_url":"` + url + `","event_types":["job_completed"]}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/jobs/webhooks/register/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Secret string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("register: %d, %v", resp.StatusCode, err)
	}
	return answer.Secret
}

// setting is the value of a variable in env.
func setting(t *testing.T, env []string, name string) string {
	t.Helper()
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	t.Fatalf("%s is not set", name)
	return ""
}
