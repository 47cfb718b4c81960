package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// doorPages are the pages of docs whose every example makes one job of first.csv.
var doorPages = []string{"tus", "upload-file", "stream-upload", "process-transactions", "upload-chunked", "bulk-jobs", "import"}

// firstCSV is the file of the README, and firstSums what comes of it.
const (
	firstCSV = "account_id,date,amount\nA1,2024-01-15,1500.00\nA1,2024-01-15,2500.00\nA1,2024-01-16,-500.00\nA1,2024-01-16,3000.00\n"

	firstSums = "account_id,date,total_amount,revenue_amount,transaction_count\nA1,2024-01-15,4000.00,4000.00,2\nA1,2024-01-16,2500.00,3000.00,2\n"
)

// example is a block of code of a page.
type example struct{ lang, info, code string }

var fences = regexp.MustCompile("(?ms)^```([a-z]+) ?([a-z0-9]*)\n(.*?)^```$")

// examples are those of a page of docs.
func examples(t testing.TB, page string) (found []example) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fences.FindAllStringSubmatch(string(text), -1) {
		found = append(found, example{m[1], m[2], m[3]})
	}
	if len(found) == 0 {
		t.Errorf("docs/%s.md has no examples", page)
	}
	return found
}

// docsWorld is a server with a key, and a user of it who reads docs.
type docsWorld struct {
	testing.TB
	*server
	dir string // has first.csv and, as everywhere in PATH, the binary
	env []string
}

const docsKey = "secret-of-the-docs"

func newDocsWorld(t testing.TB, env []string) *docsWorld {
	t.Helper()
	w := &docsWorld{TB: t, dir: t.TempDir()}
	env = append(env, "SLUICE_API_KEY="+docsKey)
	w.server = serve(t, env, "127.0.0.1:0")
	w.env = append(env, "HOME="+w.dir, "PATH="+w.dir+":"+os.Getenv("PATH"))
	w.write("first.csv", firstCSV)
	if err := os.Symlink(binary(t), filepath.Join(w.dir, "sluice")); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *docsWorld) write(name, content string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// interpreters run the code of a language that is in a file. The probe tells whether
// they can.
var interpreters = map[string]struct{ file, command, probe string }{
	"sh":         {"example.sh", "bash -eu -o pipefail example.sh", "command -v curl"},
	"python":     {"example.py", "python3 example.py", "python3 -c 'import requests'"},
	"javascript": {"example.mjs", "node example.mjs", "command -v node"},
}

// run copies an example and pastes it, with more variables. false: this machine lacks
// what it needs.
func (w *docsWorld) run(e example, env ...string) (out string, ran bool) {
	w.Helper()
	with, known := interpreters[e.lang]
	if !known {
		w.Fatalf("nobody runs %q:\n%s", e.lang, e.code)
	}
	if err := exec.CommandContext(w.Context(), "sh", "-c", with.probe).Run(); err != nil {
		w.Logf("not run, for %q fails here:\n%s", with.probe, e.code)
		return "", false
	}
	w.write(with.file, strings.ReplaceAll(e.code, "http://127.0.0.1:8080", w.url))
	var stderr strings.Builder
	cmd := exec.CommandContext(w.Context(), "sh", "-c", with.command)
	cmd.Dir, cmd.Env, cmd.Stderr = w.dir, append(w.env, env...), &stderr
	got, err := cmd.Output()
	if err != nil {
		w.Errorf("%v\n%s%s\n%s", err, got, stderr.String(), e.code)
	}
	return string(got), true
}

// get reads a job's status, aggregates or offers.
func (w *docsWorld) get(path, accept string) []byte {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+path, http.NoBody)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "Bearer "+docsKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.Fatalf("GET %s: %s, %v\n%.500s", path, resp.Status, err, body)
	}
	return body
}

// complete waits for the job's end, which must be a good one.
func (w *docsWorld) complete(id string) {
	w.Helper()
	eventually(w, "the end of "+id, func(context.Context) bool {
		var st struct{ State, Error string }
		if err := json.Unmarshal(w.get("/api/jobs/"+id+"/status/", "application/json"), &st); err != nil {
			w.Fatal(err)
		}
		if st.State == "FAILED" || st.State == "ABORTED" {
			w.Fatalf("%s is %s: %s", id, st.State, st.Error)
		}
		return st.State == "JOB_COMPLETE"
	})
}

// TestDocs copies every example of every door and pastes it: each makes one job of the
// same transactions, and they end alike to the byte.
func TestDocs(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	w := newDocsWorld(t, env)
	putFirst(t, env)
	offers, seen := "", map[string]string{}
	for _, page := range doorPages {
		for _, e := range examples(t, page) {
			name := page + ", " + e.lang
			out, ran := w.run(e)
			if !ran || t.Failed() {
				continue
			}
			id := jobIDIn(t, out)
			w.complete(id)
			if other := seen[id]; other != "" {
				t.Errorf("%s made no job of its own: it is that of %s", name, other)
			}
			seen[id] = name
			if diff := cmp.Diff(firstSums, string(w.get("/api/jobs/"+id+"/aggregates/", "text/csv"))); diff != "" {
				t.Errorf("%s: aggregates are others:\n%s", name, diff)
			}
			got := string(w.get("/api/jobs/"+id+"/offers/?decision=all", "text/csv"))
			if offers == "" {
				offers = got
			}
			if diff := cmp.Diff(offers, got); diff != "" {
				t.Errorf("%s: offers are others than by other doors:\n%s", name, diff)
			}
		}
	}
	var jobs struct{ Jobs []struct{ State string } }
	if err := json.Unmarshal(w.get("/api/jobs/?limit=200", "application/json"), &jobs); err != nil || len(jobs.Jobs) != len(seen) {
		t.Errorf("%d jobs (%v) of %d examples", len(jobs.Jobs), err, len(seen))
	}
	for id := range seen {
		for _, e := range examples(t, "README") {
			if out, ran := w.run(e, "JOB="+id); ran && (!strings.Contains(out, `"JOB_COMPLETE"`) || !strings.Contains(out, `"offers_generated"`)) {
				t.Errorf("the examples of docs/README.md say %s", out)
			}
		}
		break // one is as good as another
	}
	w.stop(t)
}

// putFirst writes first.csv to where docs/import.md has it from.
func putFirst(t testing.TB, env []string) {
	t.Helper()
	drops := importBucket(t, env).Other("drops")
	if err := drops.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := drops.Put(t.Context(), "acme/first.csv", []byte(firstCSV)); err != nil {
		t.Fatal(err)
	}
}

var jobIDs = regexp.MustCompile(`job_[0-9a-z]{26}`)

func jobIDIn(t testing.TB, out string) string {
	t.Helper()
	id := jobIDs.FindString(out)
	if id == "" {
		t.Fatalf("no job in %q", out)
	}
	return id
}
