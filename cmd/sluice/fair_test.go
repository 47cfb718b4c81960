package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// mostUnfair is how many times as long another tenant's upload may take (p95) where
// it shares its server with a flood, as where it shares only the machine.
const mostUnfair = 2

// TestFairness: one tenant floods a gateway while another uploads there, and nothing
// of either is lost. `make bench-fair` has it create 10,000 uploads beside 500 sockets
// that trickle, in turns at the other's gateway and at one that stands beside it with a
// database and a bucket of its own, and compares how long the other's uploads take.
func TestFairness(t *testing.T) {
	pairs := os.Getenv("SLUICE_BENCH_FAIR")
	if pairs == "" {
		newFairRun(t, false, flood{Creates: 300, Lines: 16, Sockets: 20}, newSample(t, 500)).run()
		return
	}
	size, file := flood{Creates: 10_000, Lines: 64, Sockets: 500}, newSample(t, 47_000)
	fmt.Printf("%-22s %8s %8s %8s %10s %10s\n", "uploads of "+fmt.Sprintf("%.2f MiB", float64(file.size)/(1<<20)), "number", "p50 ms", "p95 ms", "creates/s", "refused")
	var all [2][]float64 // ms, of those beside and of those within
	for run := range 2 * atoi(t, pairs) {
		within := (run+run/2)%2 == 1 // ABBA: what drifts meets both alike
		where := map[bool]string{false: "a server each", true: "one server"}[within]
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			took, did := newFairRun(t, !within, size, file).run()
			printFair(where, took, fmt.Sprintf("%.0f", float64(size.Creates)/did.Seconds), fmt.Sprint(did.Refused))
			side := map[bool]int{true: 1}[within]
			all[side] = append(all[side], took...)
		})
	}
	printFair("all, a server each", all[0], "", "")
	printFair("all, one server", all[1], "", "")
	ratio := percentile(all[1], 95) / percentile(all[0], 95)
	fmt.Printf("a flood on the same server costs times %.2f of p50 and times %.2f of p95\n", percentile(all[1], 50)/percentile(all[0], 50), ratio)
	if ratio > mostUnfair {
		t.Errorf("more than times %d", mostUnfair)
	}
}

func printFair(where string, ms []float64, rate, refused string) {
	fmt.Printf("%-22s %8d %8.0f %8.0f %10s %10s\n", where, len(ms), percentile(ms, 50), percentile(ms, 95), rate, refused)
}

// percentile is the least value that p percent of them do not exceed.
func percentile(values []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(float64(len(sorted)*p)/100))-1)]
}

// fairRun is one flood, and the uploads of another tenant meanwhile.
type fairRun struct {
	testing.TB

	file            sample
	calm, rough     *server // the same, or one for each tenant
	calmDB, roughDB *pgxpool.Pool
	calmEnv         []string
	flood           *exec.Cmd
	said            *bufio.Reader
	key             string
	sent            []string // ids of the other's uploads
}

func newFairRun(t testing.TB, apart bool, f flood, file sample) *fairRun {
	t.Helper()
	r := &fairRun{TB: t, file: file, calmEnv: fairEnv(t)}
	r.key, _ = created(t, r.calmEnv, "--tenant", "calm", "--role", "upload")
	r.calm = launch(t, command(t, r.calmEnv, "serve"))
	r.calmDB = r.database(r.calmEnv)
	roughEnv := r.calmEnv
	r.rough, r.roughDB = r.calm, r.calmDB
	if apart {
		roughEnv = fairEnv(t)
	}
	f.Key, _ = created(t, roughEnv, "--tenant", "rough", "--role", "upload")
	if apart {
		r.rough, r.roughDB = launch(t, command(t, roughEnv, "serve")), r.database(roughEnv)
	}
	r.flood = roleCommand(t, role{Name: "flood", URL: r.rough.url + "/files/", Flood: f})
	out, err := r.flood.StdoutPipe()
	r.must(err)
	r.said = bufio.NewReader(out)
	return r
}

func fairEnv(t testing.TB) []string {
	t.Helper()
	return append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0")
}

func (r *fairRun) database(env []string) *pgxpool.Pool {
	r.Helper()
	pool, err := pgxpool.New(r.Context(), strings.TrimPrefix(env[0], "SLUICE_DATABASE_URL="))
	r.must(err)
	r.Cleanup(pool.Close)
	return pool
}

func (r *fairRun) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// run returns how long each upload beside the flood took, in ms, and what the flood came to.
func (r *fairRun) run() (took []float64, did flooded) {
	r.Helper()
	r.must(r.flood.Start())
	r.hears(floodBegins)
	ended := make(chan error, 1)
	go func() {
		line, err := r.said.ReadString('\n')
		if err == nil && line != floodEnds+"\n" {
			err = fmt.Errorf("the flood says %q", line)
		}
		ended <- err
	}()
	took = r.uploads(ended)
	r.must(json.NewDecoder(r.said).Decode(&did))
	r.must(r.flood.Wait())
	r.verdict(did)
	if r.rough != r.calm {
		r.rough.stop(r)
	}
	r.calm.stop(r)
	return took, did
}

func (r *fairRun) hears(want string) {
	r.Helper()
	line, err := r.said.ReadString('\n')
	if err != nil || line != want+"\n" {
		r.Fatalf("the flood says %q, %v", line, err)
	}
}

// calmly is how often the other tenant uploads, if the one before is done.
const calmly = 100 * time.Millisecond

// uploads uploads one file after the other until the flood has ended.
func (r *fairRun) uploads(ended <-chan error) (took []float64) {
	r.Helper()
	body, err := os.ReadFile(r.file.path)
	r.must(err)
	client := http.Client{Transport: &http.Transport{}}
	tick := time.NewTicker(calmly)
	defer tick.Stop()
	for {
		s := &sender{base: r.calm.url, key: r.key, file: body, http: client}
		begun := time.Now()
		r.must(s.create(r.Context()))
		r.must(s.patch(r.Context(), 0, r.file.size))
		h, err := s.request(r.Context(), http.MethodHead, http.StatusOK, nil)
		r.must(err)
		r.must(s.acknowledge(http.MethodHead, h))
		took = append(took, float64(time.Since(begun).Microseconds())/1e3)
		r.sent = append(r.sent, s.id)
		select {
		case err := <-ended:
			r.must(err)
			return took
		case <-tick.C:
		}
	}
}

// verdict is that nothing is lost: each creation that was acknowledged and each offset
// stands in the ledger, and the other tenant's files are worked to their sums.
func (r *fairRun) verdict(did flooded) {
	r.Helper()
	rows, err := r.roughDB.Query(r.Context(), `SELECT id, offset_bytes FROM uploads JOIN jobs USING (id) WHERE jobs.tenant = 'rough' AND jobs.state = 'OPEN'`)
	r.must(err)
	var id string
	var offset int64
	kept := map[string]int64{}
	_, err = pgx.ForEachRow(rows, []any{&id, &offset}, func() error { kept[id] = offset; return nil })
	r.must(err)
	if len(did.Created) == 0 || len(did.Created)+len(did.Trickled) != len(kept) {
		r.Errorf("%d uploads and %d that trickle were created, and %d are there", len(did.Created), len(did.Trickled), len(kept))
	}
	for _, id := range did.Created {
		if at, ok := kept[id]; !ok || at != 0 {
			r.Errorf("upload %s was created, and is not there, or at %d", id, at)
		}
	}
	for id, offset := range did.Trickled {
		if kept[id] != offset {
			r.Errorf("upload %s was acknowledged up to %d, and is at %d", id, offset, kept[id])
		}
	}
	worker := launch(r, command(r, r.calmEnv, "work"))
	defer worker.stop(r)
	eventually(r, "the other tenant's jobs", func(ctx context.Context) bool {
		var done int
		r.must(r.calmDB.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE id = ANY($1) AND state = 'JOB_COMPLETE' AND rows_accepted = $2 AND rows_rejected = 0`,
			r.sent, r.rows()).Scan(&done))
		return done == len(r.sent)
	})
}

// rows is how many the file has.
func (r *fairRun) rows() (n int) {
	r.Helper()
	file, err := os.Open(r.file.path)
	r.must(err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		n++
	}
	r.must(lines.Err())
	return n - 1
}
