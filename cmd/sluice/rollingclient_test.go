package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/internal/devstack"
	"sluice/internal/devstack/devtest"
)

// restarts is how many a round of TestRollingRestart has.
const restarts = 4

// TestRollingRestart replaces the two gateways behind one address in turn, each
// while uploads pass through it, and lets real clients upload without end
// meanwhile, with no more patience than they come with: none may fail, and what they
// were told is stored is judged as the soak's is. SLUICE_SOAK_CYCLES is the number
// of restarts.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	dir := devtest.NPM(t, filepath.Join("..", "..", "gateway", "testdata", "tusjs"), "tusjs")
	soakRounds(t, restarts, func(t *testing.T, seed uint64) {
		t.Helper()
		rollingRound(t, seed, sluiceUpload(t), tusJS(t, dir, "whole"), tusJS(t, dir, "chunks1"))
	})
}

// realClient uploads a file to the server at base and returns the upload's id.
type realClient func(base, file string) (id string, err error)

// sluiceUpload follows the job to its end too.
func sluiceUpload(t *testing.T) realClient {
	t.Helper()
	return func(base, file string) (string, error) {
		out, err := outputOf(command(t, []string{"SLUICE_URL=" + base}, "upload", file))
		_, said, _ := strings.Cut(out, ": ")
		id, _, _ := strings.Cut(said, " completed in ")
		return id, err
	}
}

func tusJS(t *testing.T, dir, scenario string) realClient {
	t.Helper()
	return func(base, file string) (string, error) {
		out, err := outputOf(exec.CommandContext(t.Context(), "node", filepath.Join(dir, "drive.js"), scenario, base+"/files/", file))
		if err != nil {
			return "", err
		}
		var said struct{ URL string }
		err = json.Unmarshal([]byte(out), &said)
		return path.Base(said.URL), err
	}
}

// outputOf is what cmd says; its error holds what it complains of.
func outputOf(cmd *exec.Cmd) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(cmd.Path), cmd.Args[1], err, out, &complaint)
	}
	return string(out), nil
}

// rollingRound is an installation, the clients, the restarts, and the verdict.
func rollingRound(t *testing.T, seed uint64, clients ...realClient) {
	t.Helper()
	w := newSoakWorld(t, binary(t), "SLUICE_DRAIN_DELAY=1s") // much longer than the balancer asks
	front := &balancer{soakWorld: w, gateways: w.gateways}
	go front.run(t.Context())
	all := &endless{base: "http://" + w.line.Addr, failed: make(chan error, len(clients)), over: make(chan struct{})}
	t.Cleanup(func() { _, _ = all.end() }) // those that the test's end kills
	for i, client := range clients {
		like, err := newSender("", seededSample(t, 500_000, seed<<8+uint64(i)), 0) // more than a part
		w.must(err)
		all.clients.Go(func() error { return all.upload(client, like) })
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for range restarts {
		w.must(front.replace(all.failed, 1+random.Int64N(10<<20), random.IntN(2) == 0))
	}
	acknowledged, err := all.end()
	w.must(err)
	t.Logf("%d uploads through %d restarts", len(acknowledged), restarts)
	w.must(w.judge(acknowledged))
}

// endless are clients that upload, each one file again and again, until the end.
type endless struct {
	base   string
	failed chan error // of the first that did, and others
	over   chan struct{}

	clients      errgroup.Group
	stop         sync.Once
	mu           sync.Mutex
	acknowledged []*sender
}

func (e *endless) upload(client realClient, like *sender) error {
	for {
		select {
		case <-e.over:
			return nil
		default:
		}
		id, err := client(e.base, like.sample.path)
		if err != nil {
			e.failed <- err
			return err
		}
		done := like.twin("", 0)
		done.id = id
		e.mu.Lock()
		e.acknowledged = append(e.acknowledged, done)
		e.mu.Unlock()
	}
}

// end lets each client finish its upload and returns what they were told is stored.
func (e *endless) end() ([]*sender, error) {
	e.stop.Do(func() { close(e.over) })
	err := e.clients.Wait()
	return e.acknowledged, err
}

// balancer directs the line to one gateway until that is no longer ready, and then
// to the other, as balancers of connections do: those that are, stay.
type balancer struct {
	*soakWorld

	mu       sync.Mutex
	gateways [2]*server
	leads    int // to which of them
}

// askEvery is much less than a gateway that is told to stop says so.
const askEvery = 20 * time.Millisecond

// run asks until ctx ends.
func (b *balancer) run(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look directs the line to who is ready; if none is, it stays.
func (b *balancer) look(ctx context.Context) {
	b.mu.Lock()
	gateways, leads := b.gateways, b.leads
	b.mu.Unlock()
	for _, i := range [2]int{leads, 1 - leads} {
		if isReady(ctx, gateways[i].url) {
			b.line.Direct(strings.TrimPrefix(gateways[i].url, "http://"))
			b.mu.Lock()
			b.leads = i
			b.mu.Unlock()
			return
		}
	}
}

// isReady takes no answer in 10 times askEvery for a no.
func isReady(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*askEvery)
	defer cancel()
	return devstack.Answers(ctx, url+"/readyz")
}

// replace ends the gateway that the line leads to once so many bytes more have
// passed, and starts it anew. Whose bytes those were sends no more until it is gone,
// if silent. It returns the error of a client that failed instead.
func (b *balancer) replace(failed <-chan error, after int64, silent bool) error {
	reached, resume := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(resume) })
	defer release()
	b.line.After(after, func() {
		close(reached)
		<-resume
	})
	select {
	case <-reached:
	case err := <-failed:
		return err
	}
	b.mu.Lock()
	old := b.leads
	b.mu.Unlock()
	b.signal(old, syscall.SIGTERM)
	if !silent {
		release()
	}
	b.soakWorld.gateways[old].ended(b)
	release()
	b.startGateway(old)
	b.mu.Lock()
	b.gateways = b.soakWorld.gateways
	b.mu.Unlock()
	b.ready()
	return nil
}
