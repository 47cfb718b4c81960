package main_test

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	main "sluice/cmd/sluice"
	"sluice/internal/devstack/devtest"
)

// audited is a command, and what it leaves in the audit log.
type audited struct {
	args    string
	actions string // "" for nothing
}

// entry is a line of `sluice audit --json`.
type entry struct {
	ID                                                 int64
	Tenant, Actor, Action, Subject, Detail, Client, At string
	RequestID                                          string `json:"request_id"`
}

func auditLog(t testing.TB, env []string, args ...string) (entries []entry, text string) {
	t.Helper()
	out, err := command(t, env, append([]string{"audit", "--json"}, args...)...).Output()
	if err != nil {
		t.Fatalf("sluice audit %v: %v", args, err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var e entry
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries, string(out)
}

// TestEachCommandIsRecorded runs each command that there is and finds exactly its entries. One that is in no table fails.
func TestEachCommandIsRecorded(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	s := serve(t, env, "127.0.0.1:0")
	env = append(env, "SLUICE_URL="+s.url)
	drops := devtest.Bucket(t)
	file := filepath.Join(t.TempDir(), "canary-file.csv")
	if err := os.WriteFile(file, []byte("account_id,date,amount\ncanary-account,2024-01-02,10.00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, id := created(t, env, "--tenant", "acme", "--role", "read")
	commands := map[string]audited{
		"keys create":    {"keys create --tenant acme --role upload --name canary-name", "key.create"},
		"keys list":      {"keys list", ""},
		"keys rotate":    {"keys rotate " + id, "key.rotate"},
		"keys revoke":    {"keys revoke " + id, "key.revoke"},
		"tenants set":    {"tenants set acme --max-running 2", "tenant.set"},
		"tenants list":   {"tenants list", ""},
		"tenants erase":  {"tenants erase gone --yes --no-wait", "tenant.erase"},
		"watch add":      {"watch add --tenant acme " + drops.Name() + "/canary-prefix/", "watch.create"},
		"watch list":     {"watch list", ""},
		"watch remove":   {"watch remove WATCH", "watch.delete"},
		"import":         {"import --tenant acme " + file, "job.create"},
		"queue pause":    {"queue pause compose", "queue.pause"},
		"queue resume":   {"queue resume compose", "queue.resume"},
		"queue status":   {"queue status", ""},
		"audit":          {"audit", ""},
		"check":          {"check " + file, ""},
		"health":         {"health", ""},
		"version":        {"version", ""},
		"migrate up":     {"migrate up", ""}, // of no job and no key; the log of migrations has it
		"migrate status": {"migrate status", ""},
		"doctor":         {"doctor", ""}, // what it makes it removes
		// They act by HTTP, whose routes TestEachChangeIsRecorded asks, or are asked themselves.
		"upload": {}, "serve": {}, "work": {},
	}
	var order []string
	for _, node := range main.NewParser().Model.Leaves(true) {
		path := strings.TrimPrefix(node.Path(), "sluice ")
		path, _, _ = strings.Cut(path, " <")
		path, _, _ = strings.Cut(path, " [")
		if _, ok := commands[path]; !ok {
			t.Errorf("sluice %s is in no table: say what it leaves in the audit log", path)
		}
		order = append(order, path)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	known, _ := auditLog(t, env)
	for _, path := range order {
		c := commands[path]
		if c.args == "" {
			continue
		}
		if strings.HasSuffix(c.args, "WATCH") {
			c.args = "watch remove " + known[0].Subject // the last one that was added, by the command before
			for _, e := range known {
				if e.Action == "watch.create" {
					c.args = "watch remove " + e.Subject
				}
			}
		}
		if out, err := command(t, env, strings.Fields(c.args)...).CombinedOutput(); err != nil {
			t.Errorf("sluice %s: %v\n%s", c.args, err, out)
		}
		now, _ := auditLog(t, env)
		var got []string
		for _, e := range now[:len(now)-len(known)] {
			got = append(got, e.Action)
			tenant := "acme"
			switch {
			case strings.HasPrefix(e.Action, "queue."):
				tenant = ""
			case e.Action == "tenant.erase":
				tenant = "gone"
			}
			if e.Actor != "operator:"+me.Username || e.Tenant != tenant || e.Subject == "" || e.RequestID == "" || e.Client != "" {
				t.Errorf("sluice %s leaves %+v", c.args, e)
			}
		}
		if strings.Join(got, " ") != c.actions {
			t.Errorf("sluice %s leaves %v, not %s", c.args, got, c.actions)
		}
		known = now
	}
	if _, text := auditLog(t, env); strings.Contains(text, "canary") || strings.Contains(text, drops.Name()) {
		t.Errorf("the log has names of files or people:\n%s", text)
	}
	s.stop(t)
}

func TestAuditCommand(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	_, id := created(t, env, "--tenant", "acme", "--role", "read")
	created(t, env, "--tenant", "rival", "--role", "admin")
	keys(t, env, 0, "revoke", id)
	actions := func(args ...string) (all []string) {
		t.Helper()
		entries, _ := auditLog(t, env, args...)
		for _, e := range entries {
			all = append(all, e.Action+" of "+e.Tenant)
		}
		return all
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"key.revoke of acme", "key.create of rival", "key.create of acme"}},
		{[]string{"--tenant", "acme"}, []string{"key.revoke of acme", "key.create of acme"}},
		{[]string{"--subject", id, "--since", "1h"}, []string{"key.revoke of acme", "key.create of acme"}},
		{[]string{"--action", "key.create", "--since", "2024-01-02"}, []string{"key.create of rival", "key.create of acme"}},
		{[]string{"--since", "9999-01-02T08:00:00Z"}, nil},
	} {
		if got := actions(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("sluice audit %v shows %v, not %v", c.args, got, c.want)
		}
	}
	out, err := command(t, env, "audit").Output()
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); err != nil || len(lines) != 3 || !strings.Contains(lines[0], id) || !strings.Contains(lines[2], "read") {
		t.Errorf("%v:\n%s", err, out)
	}
	for args, flag := range map[string]string{"audit --action job.invent": "--action", "audit --since yesterday": "--since", "audit --since -1h": "--since"} {
		cmd := command(t, env, strings.Fields(args)...)
		text, _ := cmd.CombinedOutput() // the exit code says that it failed
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), flag) {
			t.Errorf("sluice %s ends with %d: %s", args, cmd.ProcessState.ExitCode(), text)
		}
	}
}
