package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"sluice/internal/devstack/devtest"
)

// series is how many bytes something held, looked at again and again.
type series []int64

// watchMemory looks four times a second until the function that it returns is called.
func watchMemory(bytes func() int64) (end func() series) {
	stop, all := make(chan struct{}), make(chan series)
	go func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		var s series
		for {
			select {
			case <-stop:
				all <- s
				return
			case <-tick.C:
				s = append(s, bytes())
			}
		}
	}()
	return func() series { close(stop); return <-all }
}

func (s series) peak() int64 { return slices.Max(append(s, 0)) }

// quarters are the peaks of its four quarters, first to last.
func (s series) quarters() (peaks [4]int64) {
	for i := range peaks {
		peaks[i] = s[i*len(s)/4 : (i+1)*len(s)/4].peak()
	}
	return peaks
}

// flat fails the test where more was held in its last half than in its first, by
// more than a slack.
func (s series) flat(t *testing.T, what string, slack int64) {
	t.Helper()
	q := s.quarters()
	if first, last := max(q[0], q[1]), max(q[2], q[3]); first == 0 || last > first+slack {
		t.Errorf("%s hold %v bytes, quarter by quarter: it is not flat", what, q)
	}
}

// String is in KiB.
func (s series) String() string {
	q := s.quarters()
	return fmt.Sprintf("%d, %d, %d, %d KiB by quarters (%d looks)", q[0]>>10, q[1]>>10, q[2]>>10, q[3]>>10, len(s))
}

// held returns the memory of a process; pages that it shares count in part. It is
// 0 of one that has ended.
func held(pid int) (bytes int64) {
	rollup, _ := os.ReadFile(filepath.Join("/proc", itoa(pid), "smaps_rollup"))
	if found := pssLine.FindSubmatch(rollup); found != nil {
		_, _ = fmt.Sscan(string(found[1]), &bytes)
	}
	return bytes << 10
}

var pssLine = regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB`)

// heldBelow is the memory of a process's descendants.
func heldBelow(t testing.TB, pid int) (bytes int64) {
	t.Helper()
	for _, child := range devtest.Children(t, pid) {
		bytes += held(child) + heldBelow(t, child)
	}
	return bytes
}
