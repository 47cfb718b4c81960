package main_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"sluice/internal/blob"
	"sluice/internal/job"
)

func itoa(n int) string { return strconv.Itoa(n) }

// judge waits until nothing moves any more and says what has gone wrong with
// the acknowledged uploads: everything that was promised, and nothing beside it.
func (w *soakWorld) judge(acknowledged []*sender) error {
	w.Helper()
	w.ready()
	for _, step := range []struct {
		judge func(*sender) error
		then  func()
	}{{w.judgeBytes, w.settle}, {w.judgeJob, w.compose}, {w.judgeBytes, func() {}}} {
		errs := make([]error, 0, len(acknowledged))
		for _, s := range acknowledged {
			errs = append(errs, step.judge(s))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		step.then()
	}
	w.idle()
	return errors.Join(w.judgeCounts(len(acknowledged)), w.judgeObjects(), w.judgeProcesses())
}

// settle waits for the end of every job.
func (w *soakWorld) settle() {
	w.Helper()
	eventually(w, "every job to end", func(ctx context.Context) bool {
		var open int
		w.must(w.pool.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS')`).Scan(&open))
		return open == 0
	})
}

// judgeBytes compares the objects that the manifest names, in order, with the file.
func (w *soakWorld) judgeBytes(s *sender) error {
	w.Helper()
	objects, err := w.jobs.Source(w.Context(), job.DefaultTenant, s.id)
	if err != nil {
		return err
	}
	parts := make([]blob.Object, len(objects))
	for i, o := range objects {
		parts[i] = blob.Object(o)
	}
	hash := sha256.New()
	stored := w.bucket.Open(w.Context(), parts...)
	defer stored.Close()
	n, err := io.Copy(hash, stored)
	if err != nil {
		return fmt.Errorf("%s: read back: %w", s.id, err)
	}
	if [32]byte(hash.Sum(nil)) != sha256.Sum256(s.file) {
		return fmt.Errorf("%s: the %d bytes stored are not the %d sent", s.id, n, len(s.file))
	}
	return nil
}

// judgeJob compares the job and its sums with the file, once it has ended.
func (w *soakWorld) judgeJob(s *sender) error {
	w.Helper()
	j, err := w.jobs.Get(w.Context(), job.DefaultTenant, s.id)
	if err != nil {
		return fmt.Errorf("%s: %w", s.id, err)
	}
	if j.State != job.JobComplete || j.SizeBytes != int64(len(s.file)) || j.CRC64 != blob.CRC64(s.file) {
		return fmt.Errorf("%s: the job is %+v", s.id, j)
	}
	if diff := cmp.Diff(s.sample.want, sums(w, w.gateways[0].url, s.id)); diff != "" {
		return fmt.Errorf("%s: aggregates differ from the file's:\n%.2000s", s.id, diff)
	}
	return nil
}

// idle waits until no lock and no transaction is held: River's leader has short
// ones of its own.
func (w *soakWorld) idle() {
	w.Helper()
	eventually(w, "every lock and transaction to end", func(ctx context.Context) bool {
		var held int
		w.must(w.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
			+ (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%')`).Scan(&held))
		return held == 0
	})
}

// judgeCounts wants one job and one result for each upload.
func (w *soakWorld) judgeCounts(want int) error {
	w.Helper()
	var errs []error
	for what, query := range map[string]struct {
		sql  string
		want int
	}{
		"uploads":              {`SELECT count(*) FROM uploads WHERE state = 'complete' AND offset_bytes = size_bytes`, want},
		"uploads of any state": {`SELECT count(*) FROM uploads`, want},
		"uploads in parts":     {`SELECT count(*) FROM uploads WHERE compose_at IS NOT NULL`, 0},
		"jobs":                 {`SELECT count(*) FROM jobs`, want},
		"results":              {`SELECT count(*) FROM results`, want},
		"jobs with offers of one attempt": {`SELECT count(*) FROM (SELECT job_id FROM offers GROUP BY job_id
			HAVING count(DISTINCT fence) = 1 AND count(*) = count(DISTINCT account_id) AND count(*) = 97) AS whole`, want},
		"gaps and overlaps between parts": {`SELECT count(*) FROM (SELECT start_bytes
			<> coalesce(lag(start_bytes + size_bytes) OVER (PARTITION BY upload_id ORDER BY start_bytes), 0) AS wrong FROM parts) AS steps WHERE wrong`, 0},
	} {
		var got int
		w.must(w.pool.QueryRow(w.Context(), query.sql).Scan(&got))
		if got != query.want {
			errs = append(errs, fmt.Errorf("%d %s, want %d", got, what, query.want))
		}
	}
	return errors.Join(errs...)
}

// chore is a round of the worker's housekeeping, by River's name for it.
type chore struct{ kind string }

func (c chore) Kind() string { return c.kind }

// compose has the worker make the parts of every file one object, now.
func (w *soakWorld) compose() {
	w.Helper()
	w.exec(`UPDATE uploads SET compose_at = clock_timestamp() WHERE compose_at IS NOT NULL`)
	w.round("compose", "compose")
}

// sweep lets every grace time be over and has the worker sweep, once, now.
func (w *soakWorld) sweep() {
	w.Helper()
	w.exec(`UPDATE uploads SET sweep_at = clock_timestamp() WHERE sweep_at IS NOT NULL`)
	w.exec(`UPDATE strays SET sweep_at = clock_timestamp()`)
	w.round("sweep", "sweep")
}

// round returns when the worker has done a round of a chore.
func (w *soakWorld) round(kind, queueName string) {
	w.Helper()
	eventually(w, "the round: "+kind, w.begin(kind, queueName))
}

// begin announces a round of a chore and returns what tells whether it is done.
func (w *soakWorld) begin(kind, queueName string) func(context.Context) bool {
	w.Helper()
	queue, err := river.NewClient(riverpgxv5.New(w.pool), &river.Config{})
	w.must(err)
	round, err := queue.Insert(w.Context(), chore{kind}, &river.InsertOpts{MaxAttempts: 1, Queue: queueName})
	w.must(err)
	return func(ctx context.Context) bool {
		now, err := queue.JobGet(ctx, round.Job.ID)
		w.must(err)
		if now.State == rivertype.JobStateDiscarded {
			w.Fatalf("the round %s failed: %v", kind, now.Errors)
		}
		return now.State == rivertype.JobStateCompleted
	}
}

// judgeObjects sweeps, and then wants in the bucket what the ledger and the
// results name, and nothing else.
func (w *soakWorld) judgeObjects() error {
	w.Helper()
	w.sweep()
	rows, err := w.pool.Query(w.Context(), `SELECT object_key FROM parts
		UNION ALL SELECT aggregates_key FROM results WHERE aggregates_key <> ''
		UNION ALL SELECT rejects_key FROM results WHERE rejects_key <> ''`)
	w.must(err)
	var named, stored []string
	for rows.Next() {
		var key string
		w.must(rows.Scan(&key))
		named = append(named, key)
	}
	w.must(rows.Err())
	for o, err := range w.bucket.List(w.Context(), "") {
		w.must(err)
		stored = append(stored, o.Key)
	}
	slices.Sort(named)
	slices.Sort(stored)
	if diff := cmp.Diff(named, stored); diff != "" {
		return fmt.Errorf("objects that nobody names (+), or that are missing (-):\n%.2000s", diff)
	}
	return openMultipart(w, w.s3.Config, "")
}

// openMultipart wants no multipart upload below the prefix that was begun and neither completed nor aborted.
func openMultipart(t testing.TB, cfg blob.Config, prefix string) error {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &cfg.Endpoint, Region: cfg.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""),
	})
	out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &cfg.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		if key := aws.ToString(u.Key); strings.HasPrefix(key, prefix) {
			return fmt.Errorf("a multipart upload is left, of %s", key)
		}
	}
	return nil
}

var bufferMetric = regexp.MustCompile(`(?m)^sluice_upload_buffer_bytes (\S+)$`)

// judgeProcesses wants no memory held and no file left by any process of ours.
func (w *soakWorld) judgeProcesses() error {
	w.Helper()
	for i, g := range w.gateways {
		held := ""
		eventually(w, "the gateway's metrics", func(context.Context) bool {
			if m := bufferMetric.FindStringSubmatch(string(fetch(w, g.url+"/metrics", "text/plain"))); m != nil {
				held = m[1]
			}
			return held == "0"
		})
		if held != "0" {
			return fmt.Errorf("gateway %d holds %s bytes for nobody", i, held)
		}
	}
	files, err := os.ReadDir(w.temp)
	w.must(err)
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name()
	}
	if len(names) > 0 {
		return fmt.Errorf("temporary files are left: %s", strings.Join(names, ", "))
	}
	return nil
}
