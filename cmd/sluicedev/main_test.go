package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/devstack/devtest"
)

// bin holds sluice and sluicedev, built once by TestMain.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluicedev")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.CommandContext(context.Background(), "go", "build", "-o", dir, "sluice/cmd/sluice", "sluice/cmd/sluicedev")
	build.Stderr = os.Stderr
	// Other accounts start the binaries, too.
	if err := errors.Join(os.Chmod(dir, 0o711), build.Run()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// TestFromAFileToOffers walks the way that the greeting shows, with everything
// killed in between, and finds the same at the end.
func TestFromAFileToOffers(t *testing.T) {
	t.Parallel()
	accounts := map[string]*syscall.Credential{"as this user": nil}
	if os.Geteuid() == 0 {
		accounts["as an ordinary user"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for name, account := range accounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t, account)
			first := startDev(t, dir, account)
			job := first.upload(t)
			first.awaitOffers(t, job)

			for _, child := range first.children(t) { // PostgreSQL and sluice
				kill(t, child, syscall.SIGKILL)
			}
			first.awaitOffers(t, job)

			kill(t, first.cmd.Process.Pid, syscall.SIGKILL)
			first.awaitEnd(t)

			second := startDev(t, dir, account)
			second.awaitOffers(t, job)
			second.awaitOffers(t, second.upload(t))
			kill(t, second.cmd.Process.Pid, syscall.SIGINT)
			if err := second.awaitEnd(t); err != nil {
				t.Errorf("end by Ctrl-C: %v\n%s", err, second.errors.String())
			}
		})
	}
}

// dev is a running sluicedev that is ready.
type dev struct {
	cmd    *exec.Cmd
	url    string
	line   string // the upload that the greeting shows
	out    *bufio.Reader
	errors bytes.Buffer // to be read after awaitEnd
}

func command(t *testing.T, dir string, account *syscall.Credential, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sluicedev"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "SLUICE_DATA_DIR="+filepath.Join(dir, "data"), "SLUICE_HTTP_ADDR=127.0.0.1:0")
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	return cmd
}

func startDev(t *testing.T, dir string, account *syscall.Credential) *dev {
	t.Helper()
	d := &dev{cmd: command(t, dir, account)}
	d.cmd.Stderr = &d.errors
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReader(stdout)
	var greeting strings.Builder
	for !strings.Contains(greeting.String(), "Ctrl-C") {
		line, err := d.out.ReadString('\n')
		if err != nil {
			t.Fatalf("sluicedev did not get ready: %v\n%s", d.cmd.Wait(), d.errors.String())
		}
		greeting.WriteString(line)
	}
	d.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting.String())
	d.line = regexp.MustCompile(`printf .*`).FindString(greeting.String())
	return d
}

// awaitEnd returns when sluicedev and everything that it started is gone: they
// all hold its error output.
func (d *dev) awaitEnd(t *testing.T) error {
	t.Helper()
	if _, err := io.Copy(io.Discard, d.out); err != nil {
		t.Fatal(err)
	}
	return d.cmd.Wait()
}

// upload runs the greeting's line in a shell and returns the job's id.
func (d *dev) upload(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("the line needs curl: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", d.line).Output()
	if err != nil {
		t.Fatalf("%s: %v", d.line, err)
	}
	id := regexp.MustCompile(`(?i)location: \S*/files/(job_\w+)`).FindSubmatch(out)
	if id == nil {
		t.Fatalf("%s: answer has no job:\n%s", d.line, out)
	}
	return string(id[1])
}

// awaitOffers asks, as long as services come up again, until the job's offers
// are the sample's.
func (d *dev) awaitOffers(t *testing.T, job string) {
	t.Helper()
	const want = `[{"account_id":"rent","amount":0,"decision":"declined"},{"account_id":"shop","amount":1000,"decision":"approved"}]`
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := offers(ctx, d.url+"/api/jobs/"+job+"/offers/?decision=all")
		if got == want {
			return
		}
		if err != nil {
			got = err.Error()
		}
		select {
		case <-ctx.Done():
			t.Fatalf("offers of %s: %s, want %s", job, got, want)
		case <-tick.C:
		}
	}
}

func offers(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var page struct {
		Offers []struct {
			AccountID string      `json:"account_id"`
			Amount    json.Number `json:"amount"`
			Decision  string      `json:"decision"`
		} `json:"offers"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return "", err
	}
	text, err := json.Marshal(page.Offers)
	return string(text), err
}

// children are the two servers that sluicedev started.
func (d *dev) children(t *testing.T) []int {
	t.Helper()
	pids := devtest.Children(t, d.cmd.Process.Pid)
	if len(pids) != 2 {
		t.Fatalf("sluicedev has the children %v, want PostgreSQL and sluice", pids)
	}
	return pids
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// tempDir is t.TempDir of an account that may not enter it.
func tempDir(t *testing.T, account *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluicedev")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
