package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workFaults are what happens to workers, and to what they work on.
var workFaults = []struct {
	name   string
	strike func(c *workCycle)
	spoils bool // the job may fail for its source
}{
	{"a worker is killed", func(c *workCycle) { c.fleet.kill(c.worker) }, false},
	{"both workers are killed", func(c *workCycle) { c.fleet.kill(0); c.fleet.kill(1) }, false},
	{"a worker is stopped past its lease", freeze, false},
	{"connections to Postgres are ended", func(c *workCycle) {
		_, err := c.fleet.conn.Exec(c.fleet.Context(),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		c.fleet.must(err)
	}, false},
	{"S3 cuts answers", func(c *workCycle) { c.fleet.door.cuts.Store(1 + c.random.Int64N(6)) }, false},
	{"S3 is slow and a worker is killed", func(c *workCycle) {
		c.fleet.door.slow.Store(true)
		c.pause()
		c.fleet.kill(c.worker)
	}, false},
	{"a part is overwritten", func(c *workCycle) {
		if key := c.part(); key != "" {
			_, err := c.fleet.bucket.Put(c.fleet.Context(), key, []byte(strings.Repeat("9", int(c.file.size))))
			c.fleet.must(err)
		}
	}, true},
	{"a part is deleted", func(c *workCycle) {
		if key := c.part(); key != "" {
			c.fleet.must(c.fleet.bucket.Delete(c.fleet.Context(), key))
		}
	}, true},
}

// workCycle is one job and what happens to it.
type workCycle struct {
	fleet  *fleet
	random *rand.Rand
	worker int
	id     string
	file   sample
	calm   time.Duration // what the file takes when nothing happens
}

// pause is a random moment of the job's life, and of the time just behind it.
func (c *workCycle) pause() {
	<-time.After(time.Duration(c.random.Int64N(int64(c.calm) * 5 / 4)))
}

// part is the key of the part that holds the file's last bytes, "" when it is gone.
func (c *workCycle) part() (key string) {
	c.fleet.ask(&key, `SELECT coalesce((SELECT object_key FROM parts WHERE upload_id = $1 ORDER BY start_bytes DESC LIMIT 1), '')`, c.id)
	return key
}

// freeze stops a worker until others have ended the job or have it, then lets it
// go on with what it believes to be its own.
func freeze(c *workCycle) {
	f := c.fleet
	fence := func(ctx context.Context) (n int64, ended bool) {
		f.must(f.conn.QueryRow(ctx, `SELECT fence, completed_at IS NOT NULL FROM jobs WHERE id = $1`, c.id).Scan(&n, &ended))
		return n, ended
	}
	f.revive() // or there may be nobody to take it
	f.signal(c.worker, syscall.SIGSTOP)
	before, _ := fence(f.Context())
	eventually(f, "the job to be taken from a stopped worker", func(ctx context.Context) bool {
		now, ended := fence(ctx)
		return ended || now >= before+2
	})
	f.signal(c.worker, syscall.SIGCONT)
}

// TestWorkSoak works files while workers die, stop and lose what they stand on.
// By itself it is one round: each fault once, in an order that never changes.
// SLUICE_SOAK_CYCLES makes it that many cycles, and SLUICE_SOAK_SEED chooses
// their seed.
func TestWorkSoak(t *testing.T) {
	cycles, seed := len(workFaults), int64(1)
	if long := os.Getenv("SLUICE_SOAK_CYCLES"); long != "" {
		cycles, seed = int(atoi(t, long)), int64(rand.Uint32())
	}
	if chosen := os.Getenv("SLUICE_SOAK_SEED"); chosen != "" {
		seed = atoi(t, chosen)
	}
	t.Logf("SLUICE_SOAK_SEED=%d", seed)
	f := newFleet(t)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	files := []sample{newSample(t, 500), newSample(t, 60_000), newSample(t, 250_000)}
	golden, calm := make([]string, len(files)), make([]time.Duration, len(files))
	for i, file := range files {
		id := f.send(file)
		began := time.Now()
		if state, code := f.ended(id); state != "JOB_COMPLETE" {
			t.Fatalf("undisturbed, the job is %s %s", state, code)
		}
		calm[i] = time.Since(began)
		f.checkSums(file, id)
		golden[i] = f.outcome(id)
	}
	sent := len(files)
	for done := 0; done < cycles; {
		for _, at := range random.Perm(len(workFaults)) {
			if done++; done > cycles {
				break
			}
			f.revive()
			fault, i := workFaults[at], random.IntN(len(files))
			c := &workCycle{fleet: f, random: random, worker: random.IntN(2), file: files[i], calm: calm[i]}
			if random.IntN(2) == 0 { // so that there is more of a life to be disturbed
				f.door.slow.Store(true)
				c.calm += time.Duration(c.file.size) * time.Second / doorBytes
			}
			c.id = f.send(c.file)
			sent++
			c.pause()
			fault.strike(c)
			f.door.slow.Store(false)
			state, code := f.ended(c.id)
			f.door.cuts.Store(0)
			switch {
			case state == "JOB_COMPLETE":
				if f.outcome(c.id) != golden[i] {
					t.Errorf("cycle %d, %s: %s came to something else than undisturbed", done, fault.name, c.id)
				}
			case !fault.spoils || code != "source_changed":
				t.Errorf("cycle %d, %s: %s is %s %s", done, fault.name, c.id, state, code)
			}
			if t.Failed() {
				return
			}
		}
	}
	f.judge(sent)
}

// workMutants each lack one of the mechanisms that TestWorkSoak is about.
var workMutants = []struct {
	name, file string
	edits      [][2]string
}{
	{"no fence", "internal/job/step.go", [][2]string{
		{"missing || j.Fence != c.held.Fence", "missing"},
		{"return checkStep(State(j.State), c.to)", "if c.held != nil {\n\t\treturn nil\n\t}\n\treturn checkStep(State(j.State), c.to)"},
	}},
	{"leases never expire", "internal/job/db/lease.sql.go", [][2]string{
		{"THEN jobs.lease_expires_at < clock_timestamp()", "THEN false"},
	}},
}

// TestWorkMutants shows that the soak sees what becomes of each mutant.
func TestWorkMutants(t *testing.T) {
	if os.Getenv("SLUICE_SOAK_CYCLES") == "" {
		t.Skip("each mutant is a build and a soak of its own: `make soak` runs them")
	}
	for _, m := range workMutants {
		t.Run(m.name, func(t *testing.T) {
			source, err := filepath.Abs(filepath.Join("../..", m.file))
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			patched := string(text)
			for _, e := range m.edits {
				if !strings.Contains(patched, e[0]) {
					t.Fatalf("%s has no %q any more", m.file, e[0])
				}
				patched = strings.Replace(patched, e[0], e[1], 1)
			}
			dir := t.TempDir()
			mutant, overlay, path := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sluice")
			for name, body := range map[string]string{mutant: patched, overlay: fmt.Sprintf(`{"Replace":{%q:%q}}`, source, mutant)} {
				if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", path, ".").CombinedOutput(); err != nil {
				t.Fatalf("build mutant: %v\n%s", err, out)
			}
			soak := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWorkSoak$")
			soak.Env = append(os.Environ(), "SLUICE_SOAK_BINARY="+path, "SLUICE_SOAK_CYCLES=120")
			out, err := soak.CombinedOutput()
			if err == nil {
				t.Fatalf("the soak is content:\n%.2000s", out)
			}
			t.Logf("seen:\n%.600s", out)
		})
	}
}
