package main_test

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/devstack/fault"
)

// directed are the cases in which one mechanism alone keeps the promise, each
// with the mutants that lack it: what the product survives, they must not.
var directed = []struct {
	name    string
	rows    int
	strike  func(*cycle) error
	mutants []mutant
}{
	{
		"a part in the middle is refused", 800_000, refuseMiddle, // more than two parts
		[]mutant{{
			"the contiguity check is removed", "internal/upload/writer.go",
			[][2]string{{"\tif p.err != nil {\n\t\treturn p.err\n\t}\n", "\tif p.err != nil {\n\t\treturn nil\n\t}\n"}},
		}},
	},
	{
		"a part comes late, and so does its commit", 200_000, commitLate,
		[]mutant{
			{
				"the fence is removed", "internal/upload/db/ledger.sql.go",
				[][2]string{{"WHERE id = $4 AND tenant = $5 AND epoch = $6 AND state = 'open' AND offset_bytes = $7", "WHERE id = $4 AND tenant = $5 AND epoch >= $6 AND state = 'open' AND offset_bytes >= $7"}},
			},
			{
				"the epoch is not in the key", "internal/upload/writer.go",
				[][2]string{{`fmt.Sprintf("%s%d-", prefix(row), row.Epoch)`, `fmt.Sprintf("%s%d-", prefix(row), min(row.Epoch, 0))`}},
			},
		},
	},
	{
		"the successor of a remainder is refused", 20_000, refuseSuccessor,
		[]mutant{{
			"the remainder is deleted before its successor is recorded", "internal/upload/part.go",
			[][2]string{{"\t\tbefore, err := p.fetch(ctx, bucket)\n", "\t\tbefore, err := p.fetch(ctx, bucket)\n\t\t_ = bucket.Delete(ctx, p.remainder.ObjectKey)\n"}},
		}},
	},
}

// TestDirectedFaults shows that the product survives each directed case, and
// that the oracle sees what becomes of each mutant.
func TestDirectedFaults(t *testing.T) {
	t.Parallel()
	for _, d := range directed {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if err := direct(t, binary(t), d.rows, d.strike); err != nil {
				t.Error(err)
			}
			for _, m := range d.mutants {
				t.Run(m.name, func(t *testing.T) {
					err := direct(t, m.build(t), d.rows, d.strike)
					if err == nil {
						t.Fatal("the oracle is content")
					}
					t.Logf("seen: %v", err)
				})
			}
		})
	}
}

// direct sends one file through one case, with the sluice binary at path.
func direct(t *testing.T, path string, rows int, strike func(*cycle) error) error {
	t.Helper()
	w := newSoakWorld(t, path)
	s, err := newSender("http://"+w.line.Addr, seededSample(t, rows, 7), 7)
	w.must(err)
	s.patience = 100
	w.must(s.create(t.Context()))
	if err := strike(&cycle{soakWorld: w, sender: s}); err != nil {
		return err
	}
	return w.judge([]*sender{s})
}

// refuseMiddle has S3 refuse the second part of a PATCH for good, while those
// before and behind it are stored.
func refuseMiddle(c *cycle) error {
	c.faults.Add(fault.Rule{
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "-2") },
		Times: math.MaxInt, Answer: fault.Refuse(http.StatusInternalServerError),
	})
	if err := c.sender.patch(c.Context(), 0, int64(len(c.sender.file))); err == nil {
		return errors.New("a PATCH is acknowledged of which a part was refused")
	}
	c.faults.Clear()
	return c.sender.send(c.Context())
}

// commitLate holds the first part of one gateway until another has recorded its
// position, and more, and then lets the first go on: all it does comes late.
func commitLate(c *cycle) error {
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.faults.Add(fault.Rule{
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut && isPart(r) },
		Times: 1, Answer: fault.Hold(held, release, done),
	})
	first := make(chan error, 1)
	go func() { first <- c.sender.patch(c.Context(), 0, 1<<20) }()
	<-held
	c.failOver() // which cuts the first one's client
	<-first
	second := c.sender.twin("http://"+c.line.Addr, 8)
	for at := int64(0); at < 3<<20; at += 1<<20 + 1<<19 {
		if err := second.patch(c.Context(), at, 1<<20+1<<19); err != nil {
			return err
		}
	}
	close(release)
	<-done
	c.signal(c.gateway, syscall.SIGTERM)
	c.gateways[c.gateway].ended(c) // after its request: everything late has come
	c.startGateway(c.gateway)
	c.sender.told = second.told
	return c.sender.send(c.Context())
}

// refuseSuccessor has S3 refuse the part that takes a remainder's place.
func refuseSuccessor(c *cycle) error {
	const remainder = 100 << 10
	if err := c.sender.patch(c.Context(), 0, remainder); err != nil {
		return err
	}
	c.faults.Add(fault.Rule{
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut && isPart(r) },
		Times: math.MaxInt, Answer: fault.Refuse(http.StatusInternalServerError),
	})
	if err := c.sender.patch(c.Context(), remainder, remainder); err == nil {
		return errors.New("a PATCH is acknowledged whose part was refused")
	}
	c.faults.Clear()
	return c.sender.send(c.Context())
}

// mutant is the product with a change of one source file.
type mutant struct {
	name, file string
	change     [][2]string // from and to
}

// build returns the path of the mutant's binary.
func (m mutant) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, err := filepath.Abs(filepath.Join("..", "..", m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.change {
		if strings.Count(string(text), c[0]) != 1 {
			t.Fatalf("%s has %d times, want once:\n%s", m.file, strings.Count(string(text), c[0]), c[0])
		}
		text = []byte(strings.Replace(string(text), c[0], c[1], 1))
	}
	changed, overlay, path := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sluice")
	plan, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: text, overlay: plan} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-trimpath", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}
