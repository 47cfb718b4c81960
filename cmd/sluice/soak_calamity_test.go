package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"sluice/internal/devstack/fault"
	"sluice/internal/job"
)

func killGateway(c *cycle) error {
	return c.midway(func() {
		c.gateways[c.gateway].kill(c)
		c.failOver()
	}, func() { c.startGateway(c.gateway) })
}

// killWorker kills it while it works on the file, or has just ended.
func killWorker(c *cycle) error {
	if err := c.sender.send(c.Context()); err != nil {
		return err
	}
	eventually(c, "the job to be taken", func(ctx context.Context) bool {
		j, err := c.jobs.Get(ctx, job.DefaultTenant, c.sender.id)
		c.must(err)
		return j.State != job.UploadComplete
	})
	c.worker.kill(c)
	c.lapse()
	c.startWorker()
	return nil
}

// killComposer kills it at one of the requests that make the parts one object,
// and lets that request come after another has done the work, or before.
func killComposer(c *cycle) error {
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.faults.Add(fault.Rule{
		Match: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/file") },
		Skip:  c.random.IntN(5), Times: 1, Answer: fault.Hold(held, release, done),
	})
	const piece = 1 << 20 // stays a part
	for c.sender.told < int64(len(c.sender.file)) {
		if err := c.sender.patch(c.Context(), c.sender.told, min(piece, int64(len(c.sender.file))-c.sender.told)); err != nil {
			return err
		}
	}
	c.settle()
	composed := c.begin("compose", "compose")
	killed := false
	eventually(c, "the composer", func(ctx context.Context) bool {
		select {
		case <-held:
			killed = true
		default:
		}
		return killed || composed(ctx)
	})
	if !killed { // in fewer requests
		return nil
	}
	c.worker.kill(c)
	c.faults.Clear()
	if c.random.IntN(2) == 0 {
		close(release)
		<-done
		c.startWorker()
		c.compose()
		return nil
	}
	c.startWorker()
	c.compose()
	close(release)
	<-done
	return nil
}

// rollingRestart replaces everything, one after another, and no client is cut
// off: a balancer sends new ones elsewhere, and who is there is answered, though
// it send nothing more.
func rollingRestart(c *cycle) error {
	silent := c.random.IntN(2) == 0
	err := c.midway(func() {
		c.line.Direct(c.address(c.other()))
		c.signal(c.gateway, syscall.SIGTERM)
		if silent {
			c.gateways[c.gateway].ended(c)
		}
	}, func() {
		if !silent {
			c.gateways[c.gateway].ended(c)
		}
		c.startGateway(c.gateway)
		c.worker.stop(c)
		c.startWorker()
	})
	if err == nil && c.sender.cut != nil {
		return fmt.Errorf("a client had no answer: %w", c.sender.cut)
	}
	return err
}

// fight lets two clients send the same upload at once, each by its own gateway.
func fight(c *cycle) error {
	var both errgroup.Group
	for i := range c.gateways {
		twin := c.sender.twin(c.gateways[i].url, uint64(i))
		both.Go(func() error { return twin.send(c.Context()) })
	}
	return both.Wait()
}

// stopGateway leaves it with what it has, and lets it go on when all is over.
func stopGateway(c *cycle) error {
	err := c.midway(func() {
		c.signal(c.gateway, syscall.SIGSTOP)
		c.failOver()
	}, func() {})
	c.signal(c.gateway, syscall.SIGCONT)
	return err
}

func cutLine(c *cycle) error {
	var cut func()
	cuts := 0
	cut = func() {
		c.line.Cut()
		if cuts++; cuts < 5 {
			c.line.After(c.cutAt(), cut)
		}
	}
	c.line.After(c.cutAt(), cut)
	return c.sender.send(c.Context())
}

// cutAt is within a request's header, or within the body.
func (c *cycle) cutAt() int64 {
	if c.random.IntN(3) == 0 {
		return 1 + c.random.Int64N(400)
	}
	return c.mark() / 5
}

// failS3 makes k requests fail from the n-th on: fewer than the SDK tries
// again, or more.
func failS3(c *cycle) error {
	answers := []fault.Answer{
		fault.Refuse(http.StatusInternalServerError), fault.Refuse(http.StatusServiceUnavailable),
		fault.Cut(c.random.Int64N(1 << 20)), fault.Lose,
	}
	for range 4 {
		methods := []string{http.MethodPut, http.MethodGet, http.MethodDelete, ""}
		method := methods[c.random.IntN(len(methods))]
		c.faults.Add(fault.Rule{
			Match: func(r *http.Request) bool { return method == "" || r.Method == method },
			Skip:  c.random.IntN(4), Times: 1 + c.random.IntN(8), Answer: answers[c.random.IntN(len(answers))],
		})
	}
	return c.sender.send(c.Context())
}

func loseAnswer(c *cycle) error {
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
		c.faults.Add(fault.Rule{
			Match: func(r *http.Request) bool { return r.Method == method },
			Skip:  c.random.IntN(3), Times: 1 + c.random.IntN(6), Answer: fault.Lose,
		})
	}
	return c.sender.send(c.Context())
}

// latePut holds a part of a gateway that is then killed, or stopped, until its
// successor has recorded the same position and all that follows.
func latePut(c *cycle) error {
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.faults.Add(fault.Rule{
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut && isPart(r) },
		Skip:  c.random.IntN(2), Times: 1, Answer: fault.Hold(held, release, done),
	})
	var sending errgroup.Group
	sent := make(chan struct{})
	sending.Go(func() error {
		defer close(sent)
		return c.sender.send(c.Context())
	})
	select {
	case <-held:
	case <-sent: // in fewer parts
		return sending.Wait()
	}
	killed := c.random.IntN(2) == 0
	if killed {
		c.gateways[c.gateway].kill(c)
	} else {
		c.signal(c.gateway, syscall.SIGSTOP)
	}
	c.failOver()
	err := sending.Wait()
	close(release)
	<-done
	if killed {
		c.startGateway(c.gateway)
	} else {
		c.signal(c.gateway, syscall.SIGCONT)
	}
	return err
}

// isPart says whether a request is for a part of an upload.
func isPart(r *http.Request) bool { return strings.Contains(r.URL.Path, "/uploads/") }
