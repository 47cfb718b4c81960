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
// `make soak`, where neither side may hold more the longer it lasts, and the page
// may not be stopped more often than the empty one.
func TestBrowserLargeFile(t *testing.T) {
	t.Parallel()
	env := []string{"CHROMIUM=" + devtest.Chromium(t)}
	dir := browserDriver(t)
	whole := os.Getenv("SLUICE_BROWSER_BYTES")
	size := atoi(t, cmp.Or(whole, strconv.Itoa(64<<20)))
	env = append(env, "FILE="+largeFile(t, size))
	found := map[string]driven{}
	for _, scenario := range []string{"bare", "large"} {
		s := launch(t, command(t, append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve"))
		gateway := watchMemory(func() int64 { return held(s.cmd.Process.Pid) })
		f := drive(t, dir, env, scenario, s.url)
		served := gateway()
		found[scenario] = f
		if got := s.status(t, f.ID); got.State != "UPLOAD_COMPLETE" {
			t.Errorf("%s: job %s is %s", scenario, f.ID, got.State)
		}
		t.Logf("%s: %d MiB, %d long tasks of %.0f ms in all\nscripts  %s\nbrowser  %s\ngateway  %s", scenario, size>>20, f.LongTasks, f.LongMS, f.HeapBytes, f.Browser, served)
		if whole != "" {
			f.HeapBytes.flat(t, scenario+": scripts", flat)
			f.Browser.flat(t, scenario+": the browser's processes", size/8)
			served.flat(t, scenario+": the gateway", size/8)
		}
		s.stop(t)
	}
	page, bare := found["large"], found["bare"]
	if page.HeapBytes.peak() > bare.HeapBytes.peak()+flat {
		t.Errorf("scripts hold %s, on an empty page %s", page.HeapBytes, bare.HeapBytes)
	}
	if whole != "" && page.LongTasks > bare.LongTasks {
		t.Errorf("the page has %d long tasks, an empty one %d", page.LongTasks, bare.LongTasks)
	}
	if whole != "" && page.Browser.peak() > bare.Browser.peak()+size/8 {
		t.Errorf("with the page the browser holds %s, with an empty one %s", page.Browser, bare.Browser)
	}
}

// flat is what scripts may hold more, in bytes: the file itself would be far more.
const flat = 16 << 20

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
