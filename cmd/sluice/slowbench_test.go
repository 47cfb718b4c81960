package main_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// besideSlow uploads alone and beside ten clients at 1 KiB/s, in turns, and
// prints what those cost it.
func besideSlow(t testing.TB, size int64) {
	t.Helper()
	const turns, slow = 12, 10
	b, stop := startSluice(t)
	defer stop()
	var wall [2][]float64 // s, alone and beside
	var cpu [2]float64    // s of the gateway
	for turn := range 2*turns + 1 {
		clients := slow * ((turn + turn/2) % 2) // ABBA: what drifts meets both alike
		leave := slowClients(t, b.url, clients)
		client, before, begun := roleCommand(t, role{Name: "tus", URL: b.url, Bytes: size, Patch: size}), cpuOf(t, b.pid), time.Now()
		if err := client.Run(); err != nil {
			t.Fatal(err)
		}
		took, used := time.Since(begun).Seconds(), cpuOf(t, b.pid)-before
		leave()
		if turn == 0 {
			continue // to be warm
		}
		wall[clients/slow] = append(wall[clients/slow], took)
		cpu[clients/slow] += used
	}
	for _, w := range wall {
		slices.Sort(w)
	}
	alone, beside := wall[0][turns/2], wall[1][turns/2]
	fmt.Printf("sluice: %d MiB alone %.2f s and %.2f server CPU-s, beside %d clients at 1 KiB/s %.2f s and %.2f: times %.3f and %.3f (median and mean of %d turns)\n",
		size>>20, alone, cpu[0]/turns, slow, beside, cpu[1]/turns, beside/alone, cpu[1]/cpu[0], turns)
}

// slowClients begins so many uploads at 1 KiB/s. They have sent their first bytes
// when it returns, and are stored when leave returns.
func slowClients(t testing.TB, url string, clients int) (leave func()) {
	t.Helper()
	const size = 1 << 20
	var group errgroup.Group
	left := make(chan struct{})
	for range clients {
		id, err := tusRequest(http.MethodPost, url, http.NoBody, 0, "Upload-Length", strconv.Itoa(size))
		if err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		body := &drip{begin: sync.OnceFunc(func() { close(begun) }), left: left, ticks: time.NewTicker(time.Second / dripsPerSecond)}
		group.Go(func() error {
			defer body.ticks.Stop()
			defer body.begin() // also if it was refused
			_, err := tusRequest(http.MethodPatch, url+id, body, -1, "Upload-Offset", "0")
			return err
		})
		<-begun
	}
	return func() {
		close(left)
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

const dripsPerSecond = 8

// drip is a body that has 1 KiB/s until its client leaves.
type drip struct {
	begin func() // called once the first bytes have been sent
	left  <-chan struct{}
	ticks *time.Ticker
	sent  int64
}

// Read implements io.Reader.
func (d *drip) Read(p []byte) (int, error) {
	if d.sent > 0 {
		d.begin()
	}
	select {
	case <-d.left:
		return 0, io.EOF
	case <-d.ticks.C:
	}
	n := copy(p, noise[d.sent:d.sent+1024/dripsPerSecond])
	d.sent += int64(n)
	return n, nil
}
