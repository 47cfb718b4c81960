package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// keys runs `sluice keys`, which must exit with the code, and returns what it prints.
func keys(t testing.TB, env []string, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := command(t, env, append([]string{"keys"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := exitCode(t, cmd); got != code {
		t.Fatalf("keys %v exits with %d, not %d:\n%s%s", args, got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// created makes a key and returns it, with how it begins.
func created(t testing.TB, env []string, args ...string) (key, id string) {
	t.Helper()
	out, _ := keys(t, env, 0, append([]string{"create", "--json"}, args...)...)
	var k struct{ Key, ID string }
	if err := json.Unmarshal([]byte(out), &k); err != nil || !strings.HasPrefix(k.Key, k.ID+"_") {
		t.Fatalf("%v: %s", err, out)
	}
	return k.Key, k.ID
}

// jobsStatus is what the server answers to who asks for the list of jobs.
func jobsStatus(ctx context.Context, t testing.TB, url, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/jobs/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.SetBasicAuth(key, "")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestKeys: without a key of any kind a gateway is for its own machine; the first key,
// made while it runs, closes it; and a revoked one opens no gateway any more.
func TestKeys(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	refused := command(t, append(env, "SLUICE_HTTP_ADDR=0.0.0.0:0"), "serve")
	var said strings.Builder
	refused.Stderr = &said
	if err := refused.Start(); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, refused); code != 2 || !strings.Contains(said.String(), "sluice keys create") {
		t.Errorf("without a key, beyond loopback: exits with %d: %s", code, said.String())
	}

	s := serve(t, env, "127.0.0.1:0")
	if got := jobsStatus(t.Context(), t, s.url, ""); got != http.StatusOK {
		t.Errorf("without any key: %d", got)
	}
	key, id := created(t, env, "--role", "read", "--tenant", "acme", "--name", "till 1", "--expires", "24h")
	eventually(t, "the first key closes the gateway", func(ctx context.Context) bool { return jobsStatus(ctx, t, s.url, "") == http.StatusUnauthorized })
	wide := serve(t, env, "0.0.0.0:0")
	wide.url = strings.Replace(wide.url, "[::]", "127.0.0.1", 1)
	both := []string{s.url, wide.url}
	for _, url := range both {
		if got := jobsStatus(t.Context(), t, url, key); got != http.StatusOK {
			t.Errorf("with the key: %d", got)
		}
	}
	next, _ := keys(t, env, 0, "rotate", id, "--grace", "1h")
	next = strings.TrimSpace(next)
	for _, url := range both {
		if old, now := jobsStatus(t.Context(), t, url, key), jobsStatus(t.Context(), t, url, next); old != http.StatusOK || now != http.StatusOK {
			t.Errorf("within the grace time: %d and %d", old, now)
		}
	}
	keys(t, env, 0, "revoke", id)
	for _, url := range both {
		eventually(t, "a revoked key opens no gateway", func(ctx context.Context) bool { return jobsStatus(ctx, t, url, key) == http.StatusUnauthorized })
	}
	list, _ := keys(t, env, 0, "list")
	lines, _ := keys(t, env, 0, "list", "--json", "--tenant", "acme")
	for _, text := range []string{list, lines} {
		if strings.Contains(text, strings.TrimPrefix(key, id)) || strings.Contains(text, next[len(id):]) || !strings.Contains(text, id) || !strings.Contains(text, next[:len(id)]) || !strings.Contains(text, "till 1") {
			t.Errorf("the list is\n%s", text)
		}
	}
	var first struct{ Live bool }
	if err := json.NewDecoder(strings.NewReader(lines)).Decode(&first); err != nil || first.Live || strings.Count(lines, "\n") != 2 {
		t.Errorf("%v: %s", err, lines)
	}
	if none, _ := keys(t, env, 0, "list", "--json", "--tenant", "rival"); none != "" {
		t.Errorf("another tenant has %s", none)
	}
	s.stop(t)
	wide.stop(t)
}

func TestKeysAreAskedForRightly(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	for _, args := range [][]string{
		{"create"},
		{"create", "--role", "owner"},
		{"create", "--role", "read", "--tenant", "a/b"},
		{"create", "--role", "read", "--expires", "-1h"},
		{"rotate"},
		{"revoke"},
		{"rotate", "slk_none", "--grace", "-1s"},
	} {
		keys(t, env, 2, args...)
	}
	for _, args := range [][]string{{"rotate", "slk_none"}, {"revoke", "slk_none"}} {
		if _, said := keys(t, env, 1, args...); !strings.Contains(said, "slk_none: no such key") {
			t.Errorf("%v says %s", args, said)
		}
	}
}
