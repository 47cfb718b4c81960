package main_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestSoak sends files while everything that can die dies, and judges what is
// left. By itself it is one round: each calamity once, always in the same
// order. SLUICE_SOAK_CYCLES makes it that many cycles, in rounds of an
// installation each, and SLUICE_SOAK_SEED repeats the round of that seed.
func TestSoak(t *testing.T) {
	t.Parallel()
	soakRounds(t, len(calamities), soakRound)
}

// soakRounds runs a round of so many cycles with a seed: once, or until it was as
// many cycles as SLUICE_SOAK_CYCLES says.
func soakRounds(t *testing.T, cycles int, round func(t *testing.T, seed uint64)) {
	t.Helper()
	left, seed := cycles, uint64(1)
	if long := os.Getenv("SLUICE_SOAK_CYCLES"); long != "" {
		left, seed = int(atoi(t, long)), rand.Uint64()
	}
	if chosen := os.Getenv("SLUICE_SOAK_SEED"); chosen != "" {
		var err error
		if seed, err = strconv.ParseUint(chosen, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for ; left > 0; left -= cycles {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { round(t, seed) }) {
			t.Fatalf("to repeat: SLUICE_SOAK_SEED=%d SLUICE_SOAK_CYCLES=1 go test ./cmd/sluice -run '%s'", seed, t.Name())
		}
		seed++
	}
}

// soakRound is every calamity once, in the seed's order, and the verdict.
func soakRound(t *testing.T, seed uint64) {
	t.Helper()
	w := newSoakWorld(t, binary(t))
	r := rand.New(rand.NewPCG(seed, 0))
	var acknowledged []*sender
	for i, at := range r.Perm(len(calamities)) {
		c := &cycle{soakWorld: w, random: r, gateway: r.IntN(2)}
		s, err := newSender("http://"+w.line.Addr, seededSample(t, 20_000+r.IntN(250_000), seed<<8+uint64(i)), r.Uint64())
		w.must(err)
		c.sender = s
		w.line.Direct(w.address(c.gateway))
		w.must(s.create(t.Context()))
		t.Logf("%s of %s, %d bytes", calamities[at].name, s.id, len(s.file))
		if err := calamities[at].strike(c); err != nil {
			t.Fatalf("%s: %v", calamities[at].name, err)
		}
		w.faults.Clear()
		w.alive()
		t.Logf("acknowledged, thrown back %d times", s.thrown)
		acknowledged = append(acknowledged, s)
	}
	if err := w.judge(acknowledged); err != nil {
		t.Fatal(err)
	}
}

// cycle is one upload through one calamity.
type cycle struct {
	*soakWorld

	random  *rand.Rand
	sender  *sender
	gateway int // the one that the line leads to
}

// other is the gateway that the line does not lead to.
func (c *cycle) other() int { return 1 - c.gateway }

// mark is a byte on the way, a fraction of the file's.
func (c *cycle) mark() int64 { return 1 + c.random.Int64N(int64(len(c.sender.file))) }

// midway sends the file and calls strike when a random byte has passed, while
// the next one is kept waiting, and mend while the others are coming or not. It
// returns when all is sent.
func (c *cycle) midway(strike, mend func()) error {
	reached, resume := make(chan struct{}), make(chan struct{})
	c.line.After(c.mark(), func() {
		close(reached)
		<-resume
	})
	var sending errgroup.Group
	sent := make(chan struct{})
	sending.Go(func() error {
		defer close(sent)
		return c.sender.send(c.Context())
	})
	select {
	case <-reached:
		strike()
		close(resume)
		mend()
	case <-sent: // without as many bytes: it failed
	}
	err := sending.Wait()
	c.line.After(math.MaxInt32, func() {}) // never
	return err
}

// failOver makes clients come to the other gateway from now on.
func (c *cycle) failOver() {
	c.line.Direct(c.address(c.other()))
	c.line.Cut()
}

var calamities = []struct {
	name   string
	strike func(*cycle) error
}{
	{"kill -9 of the gateway", killGateway},
	{"kill -9 of the worker", killWorker},
	{"kill -9 of the worker while it composes", killComposer},
	{"kill -9 of Postgres", func(c *cycle) error {
		return c.midway(c.pg.Kill, func() {
			c.pg.Start()
			c.pool.Reset()
		})
	}},
	{"kill -9 of the S3 server", func(c *cycle) error { return c.midway(c.s3.Kill, c.s3.Start) }},
	{"rolling restart", rollingRestart},
	{"two clients at two gateways", fight},
	{"a gateway that is stopped and continues", stopGateway},
	{"a line that is cut", cutLine},
	{"an S3 server that fails", failS3},
	{"a PutObject that comes late", latePut},
	{"a request whose answer is lost", loseAnswer},
}
