package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestErasure: behind the receipt no word of the tenant's is anywhere, in a column, an object or a version, though the
// server is killed meanwhile; another tenant's are where they were, and it goes on.
func TestErasure(t *testing.T) {
	t.Parallel()
	w := newErasable(t)
	s := w.start()
	key, otherKey := w.spread("acme", "canaryqzjx"), w.spread("rival", "linnetvwky")
	before, theirs := w.places("acme", "canaryqzjx"), w.places("rival", "linnetvwky")
	for _, place := range spread {
		if before[place] == 0 || theirs[place] == 0 {
			t.Errorf("nobody has put a canary into %s", place)
		}
	}
	kept := w.rows("rival")

	open, _ := w.send(key, "POST", "/files/", "", tusHeader("Upload-Length", "10")...)
	erase := command(t, w.env, "tenants", "erase", "acme", "--yes")
	var receipt, said strings.Builder
	erase.Stdout, erase.Stderr = &receipt, &said
	w.must(erase.Start())
	w.refuses(key, open.Header.Get("Location"))
	w.restart(s, func() bool { return w.count("SELECT count(*) FROM erasures WHERE found IS NOT NULL") == 1 })
	w.restart(w.server, func() bool { return w.count("SELECT count(*) FROM jobs WHERE tenant = 'acme'") == 0 })
	w.must(erase.Wait())

	for place, n := range w.places("acme", "canaryqzjx") {
		t.Errorf("%s has the canary %d times", place, n)
	}
	after := w.places("rival", "linnetvwky")
	for place := range theirs {
		if !strings.HasPrefix(place, "river_") && after[place] == 0 {
			t.Errorf("another tenant had %d of %s, and has none", theirs[place], place)
		}
	}
	if diff := cmp.Diff(kept, w.rows("rival")); diff != "" {
		t.Errorf("another tenant's rows (-before +after):\n%s", diff)
	}
	w.receipt(strings.TrimSpace(receipt.String()), said.String())
	again, err := command(t, w.env, "tenants", "erase", "acme", "--yes").Output()
	if err != nil || string(again) != receipt.String() {
		t.Errorf("the second receipt is %s, not %s: %v", again, receipt.String(), err)
	}
	if status := jobsStatus(t.Context(), t, w.server.url, key); status != http.StatusUnauthorized {
		t.Errorf("its key still opens something: %d", status)
	}
	if out, err := command(t, w.env, "keys", "create", "--tenant", "acme", "--role", "read").CombinedOutput(); err == nil || !strings.Contains(string(out), "erased") {
		t.Errorf("it has a key again: %s", out)
	}
	if job := w.csv(otherKey, "honest"); w.state(otherKey, job) != "JOB_COMPLETE" {
		t.Errorf("another tenant's upload becomes %s", w.state(otherKey, job))
	}
	w.server.stop(t)
}

// refuses wants whatever begins something to be refused by name, and an upload that was open.
func (w *erasable) refuses(key, open string) {
	w.Helper()
	eventually(w, "the tenant is closed", func(context.Context) bool {
		resp, text := w.ask(key, "POST", "/files/", "", tusHeader("Upload-Length", "10")...)
		return resp.StatusCode == http.StatusGone && strings.Contains(text, "tenant_erased")
	})
	eventually(w, "the upload is ended", func(context.Context) bool {
		resp, _ := w.ask(key, "HEAD", open, "", tusHeader()...)
		return resp.StatusCode == http.StatusGone || resp.StatusCode == http.StatusNotFound
	})
	for _, r := range [][]string{
		append([]string{"PATCH", open, "12345"}, tusHeader("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")...),
		{"POST", "/api/financial-transactions/stream-upload/", "account_id,date,amount\n", "Content-Type", "text/csv"},
		{"POST", "/api/financial-transactions/stream-upload/", "account_id,date,amount\n", "Content-Type", "text/csv", "Idempotency-Key", "k"},
		{"POST", "/api/financial-transactions/process-transactions/", `{"data":[]}`, "Content-Type", "application/json"},
		{"POST", "/api/financial-transactions/upload-chunked/", `{"chunk_number":1,"total_chunks":2,"chunk_data":[]}`, "Content-Type", "application/json"},
		{"POST", "/api/jobs/webhooks/register/", `{"webhook_url":"https://example.com/","event_types":["job_failed"]}`, "Content-Type", "application/json"},
		{"POST", "/api/upload-tokens/", `{"max_bytes":10}`, "Content-Type", "application/json"},
		{"POST", "/session", ""},
	} {
		if resp, text := w.ask(key, r[0], r[1], r[2], r[3:]...); resp.StatusCode != http.StatusGone || !strings.Contains(text, "tenant_erased") {
			w.Errorf("%s %s: %d %s", r[0], r[1], resp.StatusCode, text)
		}
	}
}

// receipt compares what the command printed with what there was, and with the audit log.
func (w *erasable) receipt(text, said string) {
	w.Helper()
	var r struct {
		ID      string `json:"erasure_id"`
		Tenant  string
		Rows    map[string]int64
		Objects map[string]int64
		BegunAt time.Time `json:"begun_at"`
		EndedAt time.Time `json:"finished_at"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		w.Fatalf("%v: %s\n%s", err, text, said)
	}
	canonical := map[string]any{}
	w.must(json.Unmarshal([]byte(text), &canonical))
	if sorted, err := json.Marshal(canonical); err != nil || string(sorted) != text { // of a map: by name, without spaces
		w.Errorf("the receipt is not canonical: %s", text)
	}
	want := map[string]int64{"access_keys": 1, "access_sessions": 2, "webhooks": 1, "watches": 1, "drops": 1, "upload_tokens": 1, "token_uploads": 1, "tenant_limits": 1, "tenant_usage": 1, "batched": 2}
	got := maps.Clone(r.Rows)
	maps.DeleteFunc(got, func(table string, _ int64) bool { return want[table] == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("rows of the receipt (-want +got):\n%s", diff)
	}
	if r.Tenant != "acme" || r.Rows["jobs"] < 8 || r.Rows["offers"] == 0 || r.Rows["results"] == 0 || r.Rows["parts"] == 0 || !r.EndedAt.After(r.BegunAt) ||
		r.Objects["objects"] == 0 || r.Objects["versions"] < r.Objects["objects"]+2 || r.Objects["bytes"] == 0 {
		w.Errorf("the receipt is %s", text)
	}
	sum := sha256.Sum256([]byte(text))
	entries, _ := auditLog(w, w.env, "--tenant", "acme", "--subject", r.ID)
	if len(entries) != 2 || entries[1].Action != "tenant.erase" || entries[0].Action != "tenant.erased" || entries[0].Detail != "sha256="+hex.EncodeToString(sum[:]) ||
		!strings.Contains(said, hex.EncodeToString(sum[:])) {
		w.Errorf("the audit log has %+v of %s\n%s", entries, r.ID, said)
	}
	all, _ := auditLog(w, w.env, "--tenant", "acme")
	who := map[string]bool{}
	for _, e := range all {
		kind, _, _ := strings.Cut(e.Actor, ":")
		if who[kind] = true; e.Client != "" {
			w.Errorf("the audit log has an address: %+v", e)
		}
	}
	if !who["key"] || !who["jwt"] || !who["token"] || !who["drop"] || !who["worker"] || !who["operator"] {
		w.Errorf("the audit log has forgotten who did what: %v", who)
	}
}

// TestErasureOpensNothing: where the only key went with its tenant, a key is asked for as before.
func TestErasureOpensNothing(t *testing.T) {
	t.Parallel()
	env := append(stackEnv(t), "SLUICE_SWEEP_GRACE=1s")
	created(t, env, "--tenant", "acme", "--role", "admin")
	s := serve(t, env, "127.0.0.1:0")
	if out, err := command(t, env, "tenants", "erase", "acme", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fresh := serve(t, env, "127.0.0.1:0")
	for _, url := range []string{s.url, fresh.url} {
		if status := jobsStatus(t.Context(), t, url, ""); status != http.StatusUnauthorized {
			t.Errorf("without a key: %d", status)
		}
	}
	s.stop(t)
	fresh.stop(t)
}

func TestEraseIsAskedForRightly(t *testing.T) {
	t.Parallel()
	for args, said := range map[string]string{
		"tenants erase acme":        "--yes: needed",
		"tenants erase ../x --yes":  "a tenant's name",
		"tenants erase * --yes":     "a tenant's name",
		"tenants erase acme --yes":  "--database-url",
		"tenants erase --yes":       "a tenant's name",
		"tenants erase acme --yess": "--yess",
	} {
		cmd := command(t, nil, strings.Fields(args)...)
		text, _ := cmd.CombinedOutput() // the exit code says that it failed
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), said) {
			t.Errorf("sluice %s ends with %d: %s", args, cmd.ProcessState.ExitCode(), text)
		}
	}
}
