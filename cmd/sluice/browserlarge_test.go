package main_test

import (
	"bufio"
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/devstack/devtest"
)

// TestBrowserLargeFile sends one file on the page, and the same by tus-js-client
// on an empty page. SLUICE_BROWSER_BYTES is its size: 64 MiB, and 1 GiB in
// `make soak`, where the page may not be stopped more often than the empty one.
func TestBrowserLargeFile(t *testing.T) {
	t.Parallel()
	env := []string{"CHROMIUM=" + devtest.Chromium(t)}
	dir := browserDriver(t)
	whole := os.Getenv("SLUICE_BROWSER_BYTES")
	size := atoi(t, cmp.Or(whole, strconv.Itoa(64<<20)))
	env = append(env, "FILE="+largeFile(t, size))
	s := launch(t, command(t, append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve"))
	found := map[string]driven{}
	for _, scenario := range []string{"bare", "large"} {
		f := drive(t, dir, env, scenario, s.url)
		found[scenario] = f
		if got := s.status(t, f.ID); got.State != "UPLOAD_COMPLETE" {
			t.Errorf("%s: job %s is %s", scenario, f.ID, got.State)
		}
		t.Logf("%s: %d MiB, %d long tasks of %.0f ms in all, at most %d KiB of scripts' memory and %d MiB of the browser's", scenario, size>>20, f.LongTasks, f.LongMS, f.HeapBytes>>10, f.PeakBytes>>20)
	}
	// The file itself would be far more.
	const flat = 16 << 20
	if page, bare := found["large"].HeapBytes, found["bare"].HeapBytes; page > bare+flat {
		t.Errorf("scripts hold %d bytes, on an empty page %d", page, bare)
	}
	if whole != "" {
		compareCost(t, found["large"], found["bare"], size)
	}
	s.stop(t)
}

// compareCost compares what a small file is too small to show.
func compareCost(t *testing.T, page, bare driven, size int64) {
	t.Helper()
	if page.LongTasks > bare.LongTasks {
		t.Errorf("the page has %d long tasks, an empty one %d", page.LongTasks, bare.LongTasks)
	}
	if page.PeakBytes > bare.PeakBytes+size/4 {
		t.Errorf("with the page the browser holds %d bytes, with an empty one %d", page.PeakBytes, bare.PeakBytes)
	}
}

// largeFile writes rows of transactions, cut at that size.
func largeFile(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "large.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err = w.WriteString("account_id,date,amount\n"); err == nil {
		block := strings.Repeat("ACC-0001,2024-01-15,1500.00\n", 1<<15)
		for written := int64(0); written < size && err == nil; written += int64(len(block)) {
			_, err = w.WriteString(block)
		}
	}
	if err = cmp.Or(err, w.Flush(), f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}
