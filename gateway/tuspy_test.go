package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// debianPython is the interpreter that has Debian's python3-tuspy; another one on
// the path may not.
const debianPython = "/usr/bin/python3"

// TestTuspy drives the tus door with tuspy, the client of Python: whole files,
// pieces with a checksum each, and one that it resumes by the URL that it kept.
func TestTuspy(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), debianPython, "-c", "import tusclient").Run(); err != nil {
		t.Skipf("tuspy is not installed (Debian: apt-get install python3-tuspy): %v", err)
	}
	s := start(t)
	content := make([]byte, 5<<20+12345)
	random := rand.NewChaCha8([32]byte{2})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for scenario, began := range map[string]int{"whole": 0, "pieces": 0, "checksum": 0, "resume": 3 << 20} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			python := exec.CommandContext(t.Context(), debianPython, filepath.Join("testdata", "tuspy", "drive.py"), scenario, s.url+"/files/", file, t.TempDir())
			out, err := python.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var at string
			var from int
			if _, err := fmt.Sscan(string(out), &at, &from); err != nil || from != began {
				t.Fatalf("the client began at %d, want %d: %s", from, began, out)
			}
			u, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			if j := s.wantQueued(u.Path, content); j.Filename != "übung.csv" {
				t.Errorf("the file is called %q", j.Filename)
			}
		})
	}
}
