package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/drop"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/worker"
)

// partner is a bucket of somebody's that the world watches.
type partner struct {
	*world
	bucket *blob.Bucket
	drops  *drop.Store
}

// newPartner adds a watch of in/.
func newPartner(w *world, edit ...func(*drop.Draft)) *partner {
	w.Helper()
	p := &partner{world: w, bucket: w.bucket.Other(devtest.S3Config(w.T).Bucket)}
	var err error
	p.drops, err = drop.New(drop.Config{Pool: w.work, Jobs: w.store(w.work), Bucket: w.proxied, Interval: 4 * time.Second})
	w.must(err)
	d := drop.Draft{Tenant: tenant, Bucket: p.bucket.Name(), Prefix: "in/"}
	for _, e := range edit {
		e(&d)
	}
	_, err = p.drops.Add(w.Context(), d)
	w.must(err)
	return p
}

func (p *partner) put(key, content string) {
	p.Helper()
	_, err := p.bucket.Put(p.Context(), key, []byte(content))
	p.must(err)
}

// start runs a worker that knows of the drops.
func (p *partner) start() { p.world.start(func(c *worker.Config) { c.Drops = p.drops }) }

// taken waits until an object has a job, and returns it ended.
func (p *partner) taken(key string) job.Job {
	p.Helper()
	var id string
	p.eventually(key+" to be found", func() bool {
		return p.pool.QueryRow(p.Context(), "SELECT job_id FROM drops WHERE object_key = $1 ORDER BY id DESC LIMIT 1", key).Scan(&id) == nil
	})
	return p.ends(id)
}

// An object is read where it lies, found by a listing that nobody asked for, and
// what the same file came to before is named. Sluice's own bucket holds no copy, and
// the partner's object outlives the job.
func TestDropToOffers(t *testing.T) {
	t.Parallel()
	p := newPartner(newWorld(t))
	file := strings.Join(csv, "")
	p.start()
	p.put("in/a.csv", file)
	j := p.taken("in/a.csv")
	if j.State != job.JobComplete || j.RowsAccepted != 4 || j.RowsRejected != 1 || j.CRC64 != blob.CRC64([]byte(file)) || !j.Digested || j.DuplicateOf != "" {
		t.Fatalf("job = %+v, error %v", j, j.Error)
	}
	if got := p.offers(j.ID); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("decisions for %q", got)
	}
	uploaded := p.ends(p.file(csv...))
	if uploaded.State != job.JobComplete || uploaded.DuplicateOf != j.ID {
		t.Errorf("the same file, uploaded, is %s and names %q, want %s", uploaded.State, uploaded.DuplicateOf, j.ID)
	}
	p.put("in/b.csv", file)
	if again := p.taken("in/b.csv"); again.State != job.JobComplete || again.DuplicateOf != j.ID {
		t.Errorf("the same file, dropped, is %s and names %q, want %s", again.State, again.DuplicateOf, j.ID)
	}
	p.must(p.world.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return p.world.jobs.DeleteTx(t.Context(), tx, tenant, j.ID) }))
	if got := p.get(uploaded.ID).DuplicateOf; got != "" {
		t.Errorf("names %q, which is deleted", got)
	}
	if _, err := p.bucket.Stat(t.Context(), "in/a.csv"); err != nil {
		t.Errorf("the partner's object: %v", err)
	}
	for o, err := range p.world.bucket.List(t.Context(), "") {
		p.must(err)
		if !strings.HasPrefix(o.Key, "results/") && !strings.HasPrefix(o.Key, "uploads/") {
			t.Errorf("Sluice's bucket has %s", o.Key)
		}
	}
}

// A version that is replaced or deleted while its job runs fails clearly, and what
// replaced it has a job of its own.
func TestDropChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p *partner){
		"replaced": func(p *partner) { p.put("in/a.csv", strings.Join(csv, "")+"C,2024-01-01,1\n") },
		"deleted":  func(p *partner) { p.must(p.bucket.Delete(p.Context(), "in/a.csv")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartner(newWorld(t))
			p.put("in/a.csv", strings.Join(csv, ""))
			g := p.gate("in/a.csv")
			p.start()
			<-g.reached
			id := p.text("SELECT id FROM jobs")
			change(p)
			close(g.opened)
			j := p.ends(id)
			if j.State != job.Failed || j.Error.Code != "source_changed" || !strings.Contains(j.Error.Message, name) || p.count("offers") != 0 {
				t.Fatalf("%s, %v, %d offers", j.State, j.Error, p.count("offers"))
			}
			if name == "deleted" {
				return
			}
			p.eventually("the second version", func() bool { return p.count("jobs WHERE state = 'JOB_COMPLETE'") == 1 })
			if n := p.count("jobs"); n != 2 {
				t.Errorf("%d jobs", n)
			}
		})
	}
}

func (w *world) text(sql string) (s string) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), sql).Scan(&s))
	return s
}

// Of a watch in order no file is begun before the one of the smaller name has
// ended, well or not.
func TestDropsInOrder(t *testing.T) {
	t.Parallel()
	p := newPartner(newWorld(t), func(d *drop.Draft) { d.InOrder, d.Since = true, drop.All })
	const files = 6
	for i := range files {
		content := strings.Join(csv, "")
		if i%2 == 1 {
			content = "no,such,columns\n1,2,3\n"
		}
		p.put(fmt.Sprintf("in/%d.csv", files-i), content)
	}
	p.start()
	p.eventually("the last to end", func() bool { return p.count("jobs WHERE completed_at IS NOT NULL") == files })
	early := p.count(`drops a JOIN jobs x ON x.id = a.job_id JOIN drops b ON b.object_key > a.object_key JOIN jobs y ON y.id = b.job_id
		WHERE y.started_at < x.completed_at`)
	if early != 0 {
		t.Errorf("%d times a file was begun before one of a smaller name had ended", early)
	}
}

// A file that fails stays so, and where it is, until somebody asks for it; then it
// is read where it lies and, having failed again, still stays.
func TestPoisonDrop(t *testing.T) {
	t.Parallel()
	p := newPartner(newWorld(t))
	p.start()
	p.put("in/bad.csv", "no,such,columns\n1,2,3\n")
	j := p.taken("in/bad.csv")
	p.eventually("two more listings", func() bool {
		p.exec("UPDATE watches SET list_at = now(), since = since - interval '1 s'")
		return p.count("watches WHERE since < created_at - interval '3 s' AND listed_at > created_at") == 1
	})
	if j.State != job.Failed || j.Error.Code != "missing_column" || p.count("jobs") != 1 || p.get(j.ID).Attempts != 1 {
		t.Fatalf("%s, %v, %d jobs", j.State, j.Error, p.count("jobs"))
	}
	p.must(p.world.jobs.Retry(t.Context(), tenant, j.ID))
	again := p.await(j.ID, "the second attempt's end", func(j job.Job) bool { return j.State.Terminal() && j.Attempts == 2 })
	if again.State != job.Failed || again.Error.Code != "missing_column" {
		t.Errorf("%s, %v", again.State, again.Error)
	}
}
