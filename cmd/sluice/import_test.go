package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/secret"
)

// importFile runs `sluice import`, which must succeed, and returns the job's id.
func importFile(t testing.TB, env []string, stdin io.Reader, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := command(t, env, append([]string{"import", "--json"}, args...)...)
	cmd.Stdin, cmd.Stderr = stdin, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sluice import %v: %v\n%s%s", args, err, out, stderr.String())
	}
	return importedID(t, out)
}

// importedID is the job of a line of `sluice import --json`.
func importedID(t testing.TB, out []byte) string {
	t.Helper()
	var line struct {
		JobID string `json:"job_id"`
	}
	if err := json.Unmarshal(out, &line); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return line.JobID
}

// importBucket is the bucket of the binary's variables.
func importBucket(t testing.TB, env []string) *blob.Bucket {
	t.Helper()
	of := map[string]string{}
	for _, setting := range env {
		name, value, _ := strings.Cut(setting, "=")
		of[name] = value
	}
	b, err := blob.New(t.Context(), blob.Config{
		Endpoint: of["SLUICE_S3_ENDPOINT"], Region: of["SLUICE_S3_REGION"], Bucket: of["SLUICE_S3_BUCKET"], PathStyle: true,
		AccessKeyID: of["SLUICE_S3_ACCESS_KEY_ID"], SecretAccessKey: secret.Text(of["SLUICE_S3_SECRET_ACCESS_KEY"]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestImportRealFiles: however a bank's file is imported, what comes of it is what
// comes of its upload, byte for byte, and what other means say of it.
func TestImportRealFiles(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	s := serve(t, env, "127.0.0.1:0")
	bucket := importBucket(t, env)
	t.Run("files", func(t *testing.T) {
		for name, f := range realFiles(t) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				path, golden := devtest.SharedData(t, "transactions/"+f.path), devtest.SharedData(t, "golden/"+f.golden)
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				piped := content
				if !strings.HasSuffix(path, ".gz") {
					piped = gzipped(t, content)
				}
				if _, err := bucket.Put(t.Context(), "partner/"+f.path, content); err != nil {
					t.Fatal(err)
				}
				want := results(t, s.url, upload(t, s.url, append(f.args, path)...))
				for source, id := range map[string]string{
					"file":                    importFile(t, env, nil, append(f.args, path)...),
					"standard input, gzipped": importFile(t, env, bytes.NewReader(piped), append(f.args, "-")...),
					"object":                  importFile(t, env, nil, append(f.args, "s3://"+bucket.Name()+"/partner/"+f.path)...),
				} {
					f.check(t, s.url, golden, id)
					for what, got := range results(t, s.url, id) {
						if !bytes.Equal(got, want[what]) {
							t.Errorf("%s: %s differ from those of the upload:\n%.2000s", source, what, cmp.Diff(string(want[what]), string(got)))
						}
					}
				}
			})
		}
	})
	s.stop(t)
}

// results are all that a job's readers get of its aggregates, offers and rejects.
func results(t testing.TB, url, id string) map[string][]byte {
	t.Helper()
	job := url + "/api/jobs/" + id
	return map[string][]byte{
		"aggregates": fetch(t, job+"/aggregates/", "text/csv"),
		"parquet":    fetch(t, job+"/aggregates/", "application/vnd.apache.parquet"),
		"offers":     fetch(t, job+"/offers/?decision=all", "text/csv"),
		"rejects":    fetch(t, job+"/rejects/", "text/csv"),
	}
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestKilledWhileImporting: an import that is killed was never there, wherever it
// was; a worker's sweep finds what it wrote, and the same command goes through.
func TestKilledWhileImporting(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(w *importWorld, cmd *exec.Cmd){
		"while reading": func(w *importWorld, cmd *exec.Cmd) {
			stdin, err := cmd.StdinPipe()
			if err != nil {
				w.Fatal(err)
			}
			w.start(cmd)
			if _, err := io.CopyN(stdin, bytes.NewReader(w.content), int64(len(w.content))/2); err != nil {
				w.Fatal(err)
			}
			w.kill(cmd)
		},
		"while writing offers": func(w *importWorld, cmd *exec.Cmd) {
			unlock := lockOffers(w, w.env)
			defer unlock()
			cmd.Stdin = bytes.NewReader(w.content)
			w.start(cmd)
			eventually(w, "the offers to wait", func(context.Context) bool {
				return w.count("pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY offers%'") == 1
			})
			if n := w.objects(); n != 2 {
				w.Errorf("%d objects, want aggregates and rejects", n)
			}
			w.kill(cmd)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newImportWorld(t)
			again := []string{"import", "--json", "--idempotency-key=july", "-"}
			kill(w, command(t, w.env, again...))
			s := serve(t, w.env, "127.0.0.1:0")
			eventually(t, "the sweep", func(context.Context) bool { return w.count("strays") == 0 })
			if jobs, offers, objects := w.count("jobs"), w.count("offers"), w.objects(); jobs+offers+objects != 0 {
				t.Errorf("%d jobs, %d offers and %d objects are left", jobs, offers, objects)
			}
			var first, second bytes.Buffer
			eventually(t, "the key to be free", func(context.Context) bool { return w.imports(&first, again) == 0 })
			if code := w.imports(&second, again); code != 0 || second.String() != first.String() {
				t.Errorf("the second run ended with %d and said %s, want 0 and the first's %s", code, &second, &first)
			}
			w.sample.check(t, s.url, importedID(t, first.Bytes()))
			s.stop(t)
		})
	}
}

// importWorld is a database, a bucket and a file with a row that is rejected.
type importWorld struct {
	testing.TB
	env     []string
	pool    *pgxpool.Pool
	bucket  *blob.Bucket
	sample  sample
	content []byte
}

func newImportWorld(t testing.TB) *importWorld {
	t.Helper()
	w := &importWorld{TB: t, env: append(stackEnv(t), "SLUICE_LEASE_EXPIRY=1s", "SLUICE_SWEEP_GRACE=1s", "SLUICE_STREAM_EXPIRY=1s"), sample: newSample(t, 100_000)}
	w.bucket = importBucket(t, w.env)
	var err error
	if w.pool, err = pgxpool.New(t.Context(), strings.TrimPrefix(w.env[0], "SLUICE_DATABASE_URL=")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	if w.content, err = os.ReadFile(w.sample.path); err != nil {
		t.Fatal(err)
	}
	w.content = append(w.content, "A000,someday,1.00\n"...)
	return w
}

// imports runs the command with the file and returns its exit code.
func (w *importWorld) imports(out *bytes.Buffer, args []string) int {
	w.Helper()
	cmd := command(w, w.env, args...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(w.content), out
	w.start(cmd)
	return exitCode(w, cmd)
}

func (w *importWorld) start(cmd *exec.Cmd) {
	w.Helper()
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
}

func (w *importWorld) kill(cmd *exec.Cmd) {
	w.Helper()
	if n := w.count("jobs"); n != 0 {
		w.Errorf("%d jobs are seen before their end", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		w.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed", as asked
}

func (w *importWorld) count(from string) (n int) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

func (w *importWorld) objects() (n int) {
	w.Helper()
	for _, err := range w.bucket.List(w.Context(), "") {
		if err != nil {
			w.Fatal(err)
		}
		n++
	}
	return n
}
