package main_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

// tell runs an operator's command on the fleet's database and returns what it
// prints.
func (f *fleet) tell(args ...string) string {
	f.Helper()
	out, err := command(f, f.env, args...).Output()
	if err != nil {
		f.Fatalf("sluice %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func TestTenantsCommand(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	for _, step := range []struct{ args, want string }{
		{"tenants list", ""},
		{"tenants set acme", `{"tenant":"acme","priority":"normal","max_running":null,"retention":"default","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
		{"tenants set acme --max-running=2", `{"tenant":"acme","priority":"normal","max_running":2,"retention":"default","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
		{"tenants set acme --priority=high --retention=48h", `{"tenant":"acme","priority":"high","max_running":2,"retention":"48h0m0s","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
		{"tenants set bank --priority=low --max-running=0 --retention=forever", `{"tenant":"bank","priority":"low","max_running":0,"retention":"forever","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
		{"tenants set acme --max-running=none --retention=default", `{"tenant":"acme","priority":"high","max_running":null,"retention":"default","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
		{"tenants list", `{"tenant":"acme","priority":"high","max_running":null,"retention":"default","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null,"running":0,"queued":0,"held":0,"day_bytes":0,"stored_bytes":0}` + "\n" +
			`{"tenant":"bank","priority":"low","max_running":0,"retention":"forever","max_upload_bytes":null,"max_open_uploads":null,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null,"running":0,"queued":0,"held":0,"day_bytes":0,"stored_bytes":0}`},
		{"tenants set other --max-upload-bytes=5MiB --max-open-uploads=0 --max-jobs=7 --max-day-bytes=1GiB --max-stored-bytes=2GiB", `{"tenant":"other","priority":"normal","max_running":null,"retention":"default","max_upload_bytes":5242880,"max_open_uploads":0,"max_jobs":7,"max_day_bytes":1073741824,"max_stored_bytes":2147483648}`},
		{"tenants set other --max-upload-bytes=default --max-jobs=default", `{"tenant":"other","priority":"normal","max_running":null,"retention":"default","max_upload_bytes":null,"max_open_uploads":0,"max_jobs":null,"max_day_bytes":1073741824,"max_stored_bytes":2147483648}`},
		{"tenants set * --max-open-uploads=100", `{"tenant":"*","priority":"normal","max_running":null,"retention":"default","max_upload_bytes":null,"max_open_uploads":100,"max_jobs":null,"max_day_bytes":null,"max_stored_bytes":null}`},
	} {
		out, err := command(t, env, strings.Fields(step.args)...).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != step.want {
			t.Errorf("sluice %s: %v\n%s\nwant\n%s", step.args, err, got, step.want)
		}
	}
	for args, flag := range map[string]string{
		"tenants set acme --max-running=-1":     "--max-running",
		"tenants set acme --max-running=two":    "--max-running",
		"tenants set acme --priority=urgent":    "--priority",
		"tenants set acme --max-jobs=none":      "--max-jobs",
		"tenants set acme --max-day-bytes=9PiB": "--max-day-bytes",
		"tenants set * --max-running=1":         "tenant: *",
		"tenants set acme --retention=30s":      "--retention",
		"tenants set acme --retention=1m0.5s":   "--retention",
		"tenants set acme --retention=aeons":    "--retention",
		"tenants set --priority=low":            `tenant: "" is not 1 to 64`,
		"tenants set acme --database-url=host":  "SLUICE_DATABASE_URL",
	} {
		cmd := command(t, env, strings.Fields(args)...)
		out, _ := cmd.CombinedOutput() // the exit code says that it failed
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), flag) {
			t.Errorf("sluice %s ends with %d and does not name %s:\n%s", args, code, flag, out)
		}
	}
}

// Workers are killed while they have a job of a tenant with a cap, and as its
// next begins: no slot is lost with them, and none is used twice.
func TestCapSurvivesKills(t *testing.T) {
	t.Parallel()
	f, s := newFleet(t), newSample(t, 1000)
	f.tell("tenants", "set", "default", "--max-running=1")
	unlock := lockOffers(t, f.env)
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = f.send(s)
	}
	await := func(what, where string, want int) {
		t.Helper()
		eventually(t, what, func(context.Context) bool {
			var n int
			f.ask(&n, `SELECT count(*) FROM jobs WHERE `+where)
			return n == want
		})
	}
	await("a job to be persisting", `stage = 'persisting'`, 1)
	if got, want := f.tell("tenants", "list"), `"running":1,"queued":0,"held":5`; !strings.Contains(got, want) {
		t.Errorf("tenants list says %s, want %s", got, want)
	}
	f.kill(0)
	f.kill(1)
	await("the job to be tried again", `stage = 'persisting' AND attempts = 2`, 1)
	unlock()
	for i, id := range ids {
		if i == 3 {
			f.kill(0)
			f.kill(1)
		}
		if state, code := f.ended(id); state != "JOB_COMPLETE" {
			t.Errorf("job %d is %s %s", i, state, code)
		}
	}
	var together int
	f.ask(&together, `WITH step AS (SELECT at, state, lag(state) OVER (PARTITION BY job_id ORDER BY version) AS before FROM steps)
		SELECT max(n) FROM (SELECT sum(CASE 'IN_PROGRESS' WHEN state THEN 1 WHEN before THEN -1 ELSE 0 END) OVER (ORDER BY at) AS n FROM step) AS running`)
	if together != 1 {
		t.Errorf("%d jobs ran at once", together)
	}
	var order string
	f.ask(&order, `SELECT string_agg(id, ' ' ORDER BY completed_at) FROM jobs`)
	if want := strings.Join(ids, " "); order != want {
		t.Errorf("they ended as\n%s\nwant\n%s", order, want)
	}
	if got, want := f.tell("tenants", "list"), `"max_running":1`; !strings.Contains(got, want) || !strings.Contains(got, `"held":0`) {
		t.Errorf("tenants list says %s", got)
	}
}

func TestQueueCommand(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	for _, step := range []struct{ args, want string }{
		{"queue status", `^$`},
		{"queue pause", `^{"queue":"default","paused_at":"20[^"]+Z","waiting":0,"later":0,"running":0}$`},
		{"queue status", `^{"queue":"default","paused_at":"20[^"]+Z","waiting":0,"later":0,"running":0}$`},
		{"queue resume default", `^{"queue":"default","waiting":0,"later":0,"running":0}$`},
	} {
		out, err := command(t, env, strings.Fields(step.args)...).Output()
		if got := strings.TrimSpace(string(out)); err != nil || !regexp.MustCompile(step.want).MatchString(got) {
			t.Errorf("sluice %s: %v\n%s\nwant\n%s", step.args, err, got, step.want)
		}
	}
	cmd := command(t, env, "queue", "pause", "files")
	out, _ := cmd.CombinedOutput() // the exit code says that it failed
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), `"files"`) {
		t.Errorf("pausing an unknown queue ends with %d:\n%s", code, out)
	}
}
