package worker_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/webhook"
	"sluice/worker"
)

// receiver is a webhook's other end: it keeps what comes and answers as told.
type receiver struct {
	*httptest.Server
	came chan received

	mu     sync.Mutex
	answer int
}

type received struct {
	header http.Header
	body   string
}

func (w *world) receiver() *receiver {
	r := &receiver{came: make(chan received, 100), answer: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		rw.WriteHeader(r.answer)
		_, _ = io.WriteString(rw, "receiver's own words")
		r.came <- received{req.Header, string(body)}
	}))
	w.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

// tells lets a worker's webhooks lead to this machine.
func tells(c *worker.Config) {
	c.Sender = webhook.NewSender(webhook.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
}

func (w *world) register(url, secret string) string {
	w.Helper()
	id, err := w.jobs.RegisterWebhook(w.Context(), job.Webhook{Tenant: tenant, URL: url, EventTypes: job.EventTypes()}, secret)
	w.must(err)
	return id
}

// log returns the one delivery of a webhook.
func (w *world) log(id string) job.DeliveryLog {
	w.Helper()
	logs, err := w.jobs.Deliveries(w.Context(), tenant, id, "", 100)
	w.must(err)
	if len(logs) != 1 {
		w.Fatalf("%d deliveries: %+v", len(logs), logs)
	}
	return logs[0]
}

func (w *world) logged(id, what string, is func(d job.DeliveryLog) bool) (d job.DeliveryLog) {
	w.Helper()
	w.eventually(what, func() bool { d = w.log(id); return is(d) })
	return d
}

// hurry makes what waits for its next attempt due now.
func (w *world) hurry() {
	w.Helper()
	w.exec(`UPDATE river_job SET state = 'available', scheduled_at = now() WHERE kind = 'deliver' AND state = 'scheduled'`)
}

func verifies(secret string, r received) bool {
	by, err := standardwebhooks.NewWebhook(secret)
	return err == nil && by.Verify([]byte(r.body), r.header) == nil
}

func TestWebhookIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, secret := w.receiver(), webhook.NewSecret()
	hook := w.register(r.URL, secret)
	w.start(tells)
	good, bad := w.file(csv...), w.file("a,b\n1,2\n")
	told := map[string]string{}
	for range 2 {
		came := <-r.came
		if !verifies(secret, came) || verifies(webhook.NewSecret(), came) {
			t.Errorf("the signature is not this secret's: %v", came.header)
		}
		var event struct {
			Type string
			Data struct {
				JobID        string `json:"job_id"`
				State        string
				RowsAccepted int    `json:"rows_accepted"`
				ErrorCode    string `json:"error_code"`
			}
		}
		w.must(json.Unmarshal([]byte(came.body), &event))
		told[event.Data.JobID] = event.Type
		if event.Data.JobID == good && event.Data.RowsAccepted != 4 || event.Data.JobID == bad && event.Data.ErrorCode != "missing_column" {
			t.Errorf("event %s", came.body)
		}
	}
	if told[good] != "job_completed" || told[bad] != "job_failed" {
		t.Errorf("told %v", told)
	}
	w.eventually("both to be recorded", func() bool {
		return w.count(`deliveries WHERE webhook_id = $1 AND state = 'delivered'`, hook) == 2
	})
}

// A failed attempt is made again, with the same id and body; the log tells of
// each, and nothing of what the receiver said.
func TestWebhookIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, secret := w.receiver(), webhook.NewSecret()
	hook := w.register(r.URL, secret)
	r.answers(http.StatusInternalServerError)
	w.start(tells)
	w.file(csv...)
	first := <-r.came
	d := w.logged(hook, "the attempt to be recorded", func(d job.DeliveryLog) bool { return len(d.Attempts) == 1 })
	if d.State != "pending" || d.NextAt.Before(d.Attempts[0].At) || d.Attempts[0].StatusCode != http.StatusInternalServerError || d.Attempts[0].Error != "the answer was 500" {
		t.Errorf("log = %+v", d)
	}
	if hooks, _ := w.jobs.Webhooks(t.Context(), tenant); hooks[0].FailingSince.IsZero() {
		t.Error("the webhook does not say that it fails")
	}
	r.answers(http.StatusOK)
	w.hurry()
	second := <-r.came
	if id := first.header.Get("webhook-id"); id == "" || id != second.header.Get("webhook-id") || id != d.ID || first.body != second.body {
		t.Errorf("first %v %s, then %v %s", first.header, first.body, second.header, second.body)
	}
	d = w.logged(hook, "the success", func(d job.DeliveryLog) bool { return d.State == "delivered" })
	if len(d.Attempts) != 2 || d.Attempts[1].StatusCode != http.StatusOK || !d.NextAt.IsZero() {
		t.Errorf("log = %+v", d)
	}
	if hooks, _ := w.jobs.Webhooks(t.Context(), tenant); !hooks[0].FailingSince.IsZero() {
		t.Error("the webhook says that it still fails")
	}
	if n := w.count(`delivery_attempts WHERE error LIKE '%words%'`); n != 0 {
		t.Error("the receiver's words were kept")
	}

	w.must(w.jobs.Replay(t.Context(), tenant, hook, d.ID))
	if third := <-r.came; third.header.Get("webhook-id") != d.ID || third.body != first.body {
		t.Errorf("replayed %v %s", third.header, third.body)
	}
	w.logged(hook, "the replay to be recorded", func(d job.DeliveryLog) bool { return len(d.Attempts) == 3 && d.State == "delivered" })
}

// A delivery whose worker died, at whatever place, is made again by another.
func TestWebhookOfDeadWorker(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]string{
		"before the claim":                 `UPDATE river_job SET state = 'running', attempted_at = now() WHERE kind = 'deliver'`,
		"between delivery and record":      `UPDATE river_job SET state = 'running', attempted_at = now() WHERE kind = 'deliver'; UPDATE deliveries SET fence = fence + 1, attempts = 1`,
		"with its River job":               `DELETE FROM river_job WHERE kind = 'deliver'`,
		"and River gave up on its attempt": `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE kind = 'deliver'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.receiver()
			hook := w.register(r.URL, webhook.NewSecret())
			id := w.file(csv...)
			w.must(w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return w.jobs.CancelTx(t.Context(), tx, tenant, id) }))
			w.exec(after) // in place of the worker that died
			w.start(tells)
			if came := <-r.came; came.header.Get("webhook-id") != w.log(hook).ID {
				t.Errorf("came as %v", came.header)
			}
			w.logged(hook, "the record", func(d job.DeliveryLog) bool { return d.State == "delivered" })
			if n := w.count(`river_job WHERE kind = 'deliver' AND state IN ('available', 'scheduled')`); n != 0 {
				t.Errorf("%d River jobs are left", n)
			}
		})
	}
}

// Two that make the same attempt: one record stands, the other changes nothing.
func TestWebhookAttemptIsFenced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := w.register("http://127.0.0.1:1/", webhook.NewSecret())
	id := w.file(csv...)
	w.must(w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return w.jobs.CancelTx(t.Context(), tx, tenant, id) }))
	args := job.DeliverArgs{Version: 1, DeliveryID: w.log(hook).ID, Fence: 1}
	d, err := w.jobs.ClaimDelivery(t.Context(), args)
	w.must(err)
	if _, err := w.jobs.ClaimDelivery(t.Context(), args); err == nil {
		t.Error("it could be claimed twice")
	}
	w.exec(`UPDATE deliveries SET due_at = now() - interval '1 s'`)
	w.exec(`UPDATE river_job SET state = 'running', attempted_at = now() WHERE kind = 'deliver'`)
	if n, err := w.jobs.RecoverDeliveries(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("recovered %d, %v", n, err)
	}
	if _, err := w.jobs.RecordAttempt(t.Context(), d, job.Attempt{StatusCode: 200}); err == nil {
		t.Error("an attempt that was given up on was recorded")
	}
	if n, err := w.jobs.RecoverDeliveries(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("recovered %d again, %v", n, err)
	}
}

func TestWebhookRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, old, now := w.receiver(), webhook.NewSecret(), webhook.NewSecret()
	hook := w.register(r.URL, old)
	w.start(tells)
	end := func() received {
		id := w.file(csv...)
		w.ends(id)
		return <-r.came
	}
	if came := end(); !verifies(old, came) || verifies(now, came) {
		t.Error("before: not the old secret alone signs")
	}
	_, err := w.jobs.RotateSecret(t.Context(), tenant, hook, now)
	w.must(err)
	if came := end(); !verifies(old, came) || !verifies(now, came) {
		t.Error("meanwhile: not both secrets sign")
	}
	w.exec(`UPDATE webhooks SET previous_until = now()`)
	if came := end(); verifies(old, came) || !verifies(now, came) {
		t.Error("after: not the new secret alone signs")
	}
}

// A webhook that fails for days is disabled, as is one that answers 410; it says
// why, and is told again once it is enabled.
func TestWebhookIsDisabled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer int
		before string
		reason string
	}{
		"410":          {http.StatusGone, `SELECT`, "its receiver answered 410 Gone"},
		"long failure": {http.StatusBadGateway, `UPDATE webhooks SET failing_since = now() - interval '6 days'`, "no delivery has succeeded for 5 days; at the last the answer was 502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.receiver()
			hook := w.register(r.URL, webhook.NewSecret())
			w.exec(c.before)
			r.answers(c.answer)
			w.start(tells)
			w.ends(w.file(csv...))
			<-r.came
			d := w.logged(hook, "the end", func(d job.DeliveryLog) bool { return d.State == "failed" })
			hooks, err := w.jobs.Webhooks(t.Context(), tenant)
			w.must(err)
			if hooks[0].DisabledAt.IsZero() || hooks[0].DisabledReason != c.reason {
				t.Errorf("webhook = %+v", hooks[0])
			}
			if err := w.jobs.Replay(t.Context(), tenant, hook, d.ID); err == nil {
				t.Error("a disabled webhook is replayed to")
			}
			w.ends(w.file(csv...)) // of which it is not told
			r.answers(http.StatusOK)
			w.must(w.jobs.EnableWebhook(t.Context(), tenant, hook))
			w.must(w.jobs.Replay(t.Context(), tenant, hook, d.ID))
			if came := <-r.came; came.header.Get("webhook-id") != d.ID {
				t.Errorf("came %v", came.header)
			}
		})
	}
}

// After ten attempts it is over, and the last wait is still within the schedule.
func TestWebhookIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := w.register("http://127.0.0.1:1/", webhook.NewSecret()) // nobody listens there
	id := w.file(csv...)
	w.start(tells)
	w.ends(id)
	for n := 1; n <= 9; n++ {
		w.logged(hook, "an attempt", func(d job.DeliveryLog) bool { return len(d.Attempts) == n && d.State == "pending" })
		w.hurry()
	}
	d := w.logged(hook, "the end", func(d job.DeliveryLog) bool { return d.State == "failed" })
	if len(d.Attempts) != 10 || strings.Contains(d.Attempts[9].Error, "127.0.0.1") {
		t.Errorf("log = %+v", d)
	}
}

// Of a job that has ended before it is asked about, the webhook is told too.
func TestWebhookForOneJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	w.start(tells)
	id, other := w.file(csv...), w.file(csv...)
	w.ends(id)
	w.ends(other)
	_, err := w.jobs.RegisterWebhook(t.Context(), job.Webhook{Tenant: tenant, URL: r.URL, EventTypes: []string{"job_completed"}, JobID: id}, webhook.NewSecret())
	w.must(err)
	if came := <-r.came; !strings.Contains(came.body, id) {
		t.Errorf("told %s", came.body)
	}
	if n := w.count(`deliveries`); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	_, err = w.jobs.RegisterWebhook(t.Context(), job.Webhook{Tenant: "other", URL: r.URL, EventTypes: []string{"job_completed"}, JobID: id}, webhook.NewSecret())
	if err == nil {
		t.Error("another tenant may ask about the job")
	}
}

// A receiver that does not answer has no more than its share of a worker, however
// many events wait for it, and others are told meanwhile.
func TestWebhookThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var underWay atomic.Int64
	var over atomic.Bool
	let := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		n := underWay.Add(1)
		defer underWay.Add(-1)
		if n > worker.DeliverToOne {
			over.Store(true)
		}
		<-let
		rw.WriteHeader(http.StatusNoContent)
	}))
	w.Cleanup(hanging.Close)
	slow := w.register(hanging.URL, webhook.NewSecret())
	const events = 150 // more than a worker makes deliveries at a time
	for range events {
		w.must(w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return w.jobs.CancelTx(t.Context(), tx, tenant, w.file(csv...)) }))
	}
	w.start(func(c *worker.Config) {
		c.Sender = webhook.NewSender(webhook.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: time.Hour})
	})
	w.eventually("deliveries to hang", func() bool { return underWay.Load() == worker.DeliverToOne })

	quick := w.receiver()
	w.register(quick.URL, webhook.NewSecret())
	told := w.file(csv...)
	if came := <-quick.came; !strings.Contains(came.body, told) {
		t.Errorf("told %s", came.body)
	}
	close(let) // and no event is lost
	w.eventually("all to be told", func() bool {
		w.hurry()
		return w.count(`deliveries WHERE webhook_id = $1 AND state = 'delivered'`, slow) == events+1
	})
	if over.Load() {
		t.Errorf("more than %d deliveries were under way to it at a time", worker.DeliverToOne)
	}
}
