package main_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

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
	s := newWorkSoak(t, uint64(seed))
	for done := 0; done < cycles && !t.Failed(); {
		for _, at := range s.random.Perm(len(workFaults)) {
			if done++; done <= cycles && !t.Failed() {
				s.cycle(done, at)
			}
		}
		for _, wrong := range s.judge(s.sent) {
			t.Errorf("after %d cycles: %s", min(done, cycles), wrong)
		}
	}
	if t.Failed() {
		return
	}
	for _, moment := range slices.Sorted(maps.Keys(s.moments)) {
		t.Logf("struck %d times at %s", s.moments[moment], moment)
	}
	for _, fault := range slices.Sorted(maps.Keys(s.slowest)) {
		t.Logf("%s: the job was begun again %v after it, at most", fault, s.slowest[fault].Round(time.Millisecond))
	}
	t.Logf("%d cycles, with a lease of %v", cycles, fleetLease)
}

// workSoak is a fleet, the files it works, and what they come to undisturbed.
type workSoak struct {
	*fleet

	random  *rand.Rand
	files   []sample
	golden  []string
	calm    []time.Duration
	sent    int
	moments map[string]int
	slowest map[string]time.Duration // by fault, until a job that was begun is begun again
}

func newWorkSoak(t *testing.T, seed uint64) *workSoak {
	t.Helper()
	s := &workSoak{
		// So little memory that sums go to temporary files, whose owners die.
		fleet: newMortalFleet(t, "SLUICE_JOB_MEMORY_BYTES=64KiB"), random: rand.New(rand.NewPCG(seed, 0)), moments: map[string]int{}, slowest: map[string]time.Duration{},
		files: []sample{newSample(t, 500), rejecting(t, 60_000, 1), rejecting(t, 250_000, 100)},
	}
	for _, file := range s.files {
		id, began := s.send(file), time.Now()
		if state, code := s.ended(id); state != "JOB_COMPLETE" {
			t.Fatalf("undisturbed, the job is %s %s", state, code)
		}
		s.calm = append(s.calm, time.Since(began))
		s.checkSums(file, id)
		s.golden = append(s.golden, s.outcome(id))
		s.sent++
	}
	return s
}

// rejecting is newSample with further rows, in front of the others, that are
// rejected: of 100 KB each, so that a hundred are a multipart upload of their own.
func rejecting(t *testing.T, rows, rejects int) sample {
	t.Helper()
	s := newSample(t, rows)
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(string(text), "\n")
	text = []byte(header + "\n" + strings.Repeat("A001,2024-01-01,"+strings.Repeat("many ", 20_000)+"\n", rejects) + rest)
	if err := os.WriteFile(s.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.size = int64(len(text))
	return s
}

// cycle sends a file, lets a fault happen to its job, and looks at what it comes to.
func (s *workSoak) cycle(n, at int) {
	s.Helper()
	s.revive()
	s.settled()
	fault, i := workFaults[at], s.random.IntN(len(s.files))
	c := &workCycle{fleet: s.fleet, random: s.random, worker: s.random.IntN(2), file: s.files[i], calm: s.calm[i]}
	if s.random.IntN(2) == 0 { // so that there is more of a life to be disturbed
		s.door.slow.Store(true)
		c.calm += time.Duration(c.file.size) * time.Second / doorBytes
	}
	c.id = s.send(c.file)
	s.sent++
	s.moments[c.moment()]++
	struck := s.clock()
	fault.strike(c)
	c.unlock()
	s.door.slow.Store(false)
	state, code := s.ended(c.id)
	s.door.cuts.Store(0)
	var again float64
	s.ask(&again, `SELECT coalesce(extract(epoch FROM min(at) - $2), 0) FROM steps WHERE job_id = $1 AND state = 'IN_PROGRESS' AND at > $2
		AND EXISTS (SELECT FROM steps WHERE job_id = $1 AND state = 'IN_PROGRESS' AND at <= $2)`, c.id, struck)
	s.slowest[fault.name] = max(s.slowest[fault.name], time.Duration(again*float64(time.Second)))
	switch {
	case s.ends(c.id) != 1:
		s.Errorf("cycle %d, %s: %s has ended %d times", n, fault.name, c.id, s.ends(c.id))
	case state == "JOB_COMPLETE":
		if s.outcome(c.id) != s.golden[i] {
			s.Errorf("cycle %d, %s: %s came to something else than undisturbed", n, fault.name, c.id)
		}
	case !fault.spoils || code != "source_changed":
		var why string
		s.ask(&why, `SELECT error_message FROM jobs WHERE id = $1`, c.id)
		s.Errorf("cycle %d, %s: %s is %s %s: %s", n, fault.name, c.id, state, code, why)
	}
}

// TestWorkVerdict shows that the soak's verdict sees each kind of wrong.
func TestWorkVerdict(t *testing.T) {
	t.Parallel()
	f, file := newFleet(t), newSample(t, 500)
	id := f.send(file)
	f.ended(id)
	f.checkSums(file, id)
	if wrong := f.judge(1); len(wrong) > 0 {
		t.Fatalf("nothing was spoilt, and the verdict is %q", wrong)
	}
	golden := f.outcome(id)
	f.disband() // or they might mend it
	spoil := func(change, undo string, seen func() bool) {
		t.Helper()
		f.exec(change)
		if !seen() {
			t.Errorf("not seen: %s", change)
		}
		f.exec(undo)
	}
	judged := func() bool { return len(f.judge(1)) == 1 }
	spoil(`INSERT INTO steps SELECT job_id, version + 1, state, stage, 0, 0, 0, NULL, NULL, false, now() FROM steps WHERE state = 'JOB_COMPLETE'`,
		`DELETE FROM steps WHERE version = (SELECT max(version) FROM steps)`, func() bool { return judged() && f.ends(id) == 2 })
	spoil(`UPDATE offers SET fence = fence + 1 WHERE account_id = 'A001'`, `UPDATE offers SET fence = fence - 1 WHERE account_id = 'A001'`,
		func() bool { return judged() && f.outcome(id) != golden })
	spoil(`UPDATE offers SET amount_minor = amount_minor + 1 WHERE account_id = 'A001'`, `UPDATE offers SET amount_minor = amount_minor - 1 WHERE account_id = 'A001'`,
		func() bool { return f.outcome(id) != golden })
	spoil(`UPDATE results SET fence = fence + 1`, `UPDATE results SET fence = fence - 1`, func() bool { return len(f.judge(1)) > 0 })
	if len(f.judge(2)) != 1 {
		t.Error("not seen: a job that is missing")
	}
	left := filepath.Join(f.spill, "sluice-rollup-1")
	f.must(os.WriteFile(left, nil, 0o600))
	if !judged() {
		t.Error("not seen: a temporary file")
	}
	f.must(os.Remove(left))
	key := "results/default/" + id + "/1/aggregates.parquet"
	_, err := f.bucket.Put(t.Context(), key, []byte("left"))
	f.must(err)
	if !judged() {
		t.Error("not seen: an object of a lost attempt")
	}
	f.must(f.bucket.Delete(t.Context(), key))
	f.ask(&key, `SELECT aggregates_key FROM results`)
	f.must(f.bucket.Delete(t.Context(), key))
	if !judged() {
		t.Error("not seen: an object that is gone")
	}
}
