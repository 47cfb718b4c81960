package main_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// workFaults are what happens to workers, and to what they work on.
var workFaults = []struct {
	name   string
	strike func(c *workCycle)
	spoils bool // the job may fail for its source
}{
	{"a worker is killed", func(c *workCycle) { c.fleet.kill(c.worker) }, false},
	{"both workers are killed", func(c *workCycle) { c.fleet.kill(0); c.fleet.kill(1) }, false},
	{"a worker is killed, and what takes its place", func(c *workCycle) {
		c.fleet.kill(c.worker)
		c.unlock()
		c.pause()
		c.fleet.kill(c.worker)
	}, false},
	{"a worker is stopped past its lease", freeze, false},
	{"connections to Postgres are ended", func(c *workCycle) {
		c.fleet.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1`, oracle)
	}, false},
	{"Postgres is killed", func(c *workCycle) { c.fleet.endPostgres(0) }, false},
	{"Postgres is away for longer than a lease", func(c *workCycle) { c.fleet.endPostgres(fleetLease * 3 / 2) }, false},
	{"S3 cuts answers", func(c *workCycle) { c.fleet.door.cuts.Store(1 + c.random.Int64N(6)) }, false},
	{"S3 is slow and a worker is killed", func(c *workCycle) {
		c.fleet.door.slow.Store(true)
		c.unlock()
		c.pause()
		c.fleet.kill(c.worker)
	}, false},
	{"S3 is away", func(c *workCycle) {
		c.fleet.door.shut.Store(true)
		c.unlock()
		<-time.After(fleetLease) // the fault itself
		c.fleet.door.shut.Store(false)
	}, false},
	{"a job is announced again", func(c *workCycle) {
		c.fleet.exec(`INSERT INTO river_job (kind, args, max_attempts, priority, queue)
			SELECT kind, args, max_attempts, priority, queue FROM river_job WHERE args->>'job_id' = $1 ORDER BY id DESC LIMIT 1`, c.id)
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
	unlock func()        // lets an attempt go on that was held for the strike
}

// pause is a random moment of the job's life, and of the time just behind it.
func (c *workCycle) pause() {
	<-time.After(time.Duration(c.random.Int64N(int64(c.calm) * 5 / 4)))
}

// moment returns at a random moment of the job's life, and its name. Half of them
// are in the two that are short: the copy of the offers, and the last statement
// with the commit behind it, at which an attempt is held, or has just been let go.
func (c *workCycle) moment() string {
	c.unlock = func() {}
	switch table := []string{"", "", "offers", "results"}[c.random.IntN(4)]; {
	case table == "":
		c.pause()
	case !c.hold(table): // it is over
	case table == "offers":
		return "copying"
	case c.random.IntN(2) == 0:
		return "completing"
	default:
		c.unlock()
		<-time.After(time.Duration(c.random.Int64N(int64(commitTime)))) // at the commit, or just behind it
		return "committing"
	}
	var at string
	c.fleet.ask(&at, `SELECT coalesce(stage, state) FROM jobs WHERE id = $1`, c.id)
	return at
}

// commitTime is what the last statements of a job take, and a little more.
const commitTime = 8 * time.Millisecond

// hold makes the job's attempt wait for a table until unlock, and reports
// whether it does.
func (c *workCycle) hold(table string) bool {
	ctx := c.fleet.Context()
	tx, err := c.fleet.pool.Begin(ctx)
	c.fleet.must(err)
	c.unlock = sync.OnceFunc(func() { _ = tx.Rollback(ctx) }) // it may have ended with its server
	_, err = tx.Exec(ctx, "LOCK TABLE "+pgx.Identifier{table}.Sanitize()+" IN SHARE ROW EXCLUSIVE MODE")
	c.fleet.must(err)
	waits := false
	eventually(c.fleet, "the attempt to wait for "+table, func(context.Context) bool {
		var over bool
		c.fleet.ask(&waits, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass)`, table)
		c.fleet.ask(&over, `SELECT completed_at IS NOT NULL FROM jobs WHERE id = $1`, c.id)
		return waits || over
	})
	return waits
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
	fence := func() (n int64, ended bool) {
		f.must(f.pool.QueryRow(f.Context(), `SELECT fence, completed_at IS NOT NULL FROM jobs WHERE id = $1`, c.id).Scan(&n, &ended))
		return n, ended
	}
	f.revive() // or there may be nobody to take it
	f.signal(c.worker, syscall.SIGSTOP)
	before, _ := fence()
	c.unlock()
	eventually(f, "the job to be taken from a stopped worker", func(context.Context) bool {
		now, ended := fence()
		return ended || now >= before+2
	})
	f.signal(c.worker, syscall.SIGCONT)
}
