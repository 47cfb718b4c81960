package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// A name that is not UTF-8, or would move the cursor, is sent and shown as what of
// it is text; standard output names the file as its user did.
func TestUploadOfAnyName(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	s := serve(t, env, "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "\x1b[2Jna\xefve\xff.csv")
	if err := os.WriteFile(path, []byte("account_id,date,amount\nA1,2024-01-15,1.00\n"), 0o600); err != nil {
		t.Skipf("this file system keeps no such names: %v", err)
	}
	var stderr strings.Builder
	cmd := command(t, []string{"SLUICE_URL=" + s.url}, "upload", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if !strings.HasPrefix(string(out), path+": job_") {
		t.Errorf("said %q", out)
	}
	if said := stderr.String(); !utf8.ValidString(said) || strings.Contains(said, "\x1b") || !strings.Contains(said, "\uFFFD[2Jna\uFFFDve\uFFFD.csv: completed") {
		t.Errorf("showed %q", said)
	}
	imported, err := command(t, env, "import", path).CombinedOutput()
	if err != nil {
		t.Fatalf("import: %v\n%s", err, imported)
	}
	for _, out := range []string{string(out), string(imported)} {
		var job struct{ Filename string }
		if err := json.Unmarshal(fetch(t, s.url+"/api/jobs/"+jobID(t, out)+"/status/", "application/json"), &job); err != nil || job.Filename != "\x1b[2Jna\uFFFDve\uFFFD.csv" {
			t.Errorf("the job's file is called %q, %v", job.Filename, err)
		}
	}
	s.stop(t)
}

// Of several commands for one file at once, one sends it and the others say so:
// one job, and what is remembered of it is whole, for the one is interrupted and
// goes on.
func TestUploadsOfOneFileAtOnce(t *testing.T) {
	t.Parallel()
	s, file, home := serve(t, stackEnv(t), "127.0.0.1:0"), newSample(t, 500_000), t.TempDir()
	gate := newGate(t, strings.TrimPrefix(s.url, "http://"), file.size/4*3) // more than a part of 8 MiB
	start := func() (*exec.Cmd, *strings.Builder) {
		cmd, said := command(t, nil, "upload", file.path), &strings.Builder{}
		cmd.Env = []string{"HOME=" + home, "SLUICE_URL=" + gate.url}
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, said
	}
	var commands [5]*exec.Cmd
	var said [5]*strings.Builder
	var codes [5]int
	var ended [5]chan struct{}
	var refused atomic.Int64
	for i := range commands {
		commands[i], said[i] = start()
		ended[i] = make(chan struct{})
		go func() {
			defer close(ended[i])
			_ = commands[i].Wait()
			codes[i] = commands[i].ProcessState.ExitCode()
			refused.Add(1)
		}()
	}
	eventually(t, "all but one to be refused", func(context.Context) bool { return refused.Load() == int64(len(commands)-1) })
	id := s.awaitBytes(t)
	for i, cmd := range commands {
		select {
		case <-ended[i]:
			if codes[i] != 1 || !strings.Contains(said[i].String(), "is being uploaded by another sluice upload") {
				t.Errorf("one beside another ended with %d: %s", codes[i], said[i])
			}
		default:
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if <-ended[i]; codes[i] != 3 {
				t.Errorf("the one ended with %d: %s", codes[i], said[i])
			}
		}
	}
	gate.open()
	cmd, out := start()
	if code := exitCode(t, cmd); code != 0 || jobID(t, out.String()) != id {
		t.Errorf("the next ended with %d, want to go on with %s: %s", code, id, out)
	}
	file.check(t, s.url, id)
	if left, err := os.ReadDir(filepath.Join(home, ".cache", "sluice", "uploads")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	s.stop(t)
}
