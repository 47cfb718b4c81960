package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// ask scans the one row of a query.
func (f *fleet) ask(to any, sql string, args ...any) {
	f.Helper()
	f.must(f.pool.QueryRow(f.Context(), sql, args...).Scan(to))
}

func (f *fleet) exec(sql string, args ...any) {
	f.Helper()
	_, err := f.pool.Exec(f.Context(), sql, args...)
	f.must(err)
}

// ended waits for the job's end, a minute at most: what recovery may take. It
// returns the state and the error's code.
func (f *fleet) ended(id string) (state, code string) {
	f.Helper()
	eventually(f, "the end of "+id, func(context.Context) bool {
		f.revive()
		f.must(f.pool.QueryRow(f.Context(), `SELECT state, coalesce(error_code, '') FROM jobs WHERE id = $1`, id).Scan(&state, &code))
		return state == "JOB_COMPLETE" || state == "FAILED" || state == "ABORTED"
	})
	return state, code
}

// outcome is all that a job came to: aggregates, decisions and rejects, as CSV.
func (f *fleet) outcome(id string) string {
	f.Helper()
	return f.read(id+"/aggregates/") + f.read(id+"/offers/?decision=all") + f.read(id+"/rejects/")
}

// read returns the CSV of a job, once it can be had: where connections to
// Postgres were ended the gateway fails once for each.
func (f *fleet) read(path string) (body string) {
	f.Helper()
	eventually(f, "an answer of the gateway", func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.gateway.url+"/api/jobs/"+path, http.NoBody)
		f.must(err)
		req.Header.Set("Accept", "text/csv")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		body = string(text)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return body
}

// checkSums compares a job's aggregates with those of its file.
func (f *fleet) checkSums(s sample, id string) {
	f.Helper()
	got := map[string]string{}
	for _, row := range table(f, []byte(f.read(id+"/aggregates/"))) {
		total := atoi(f, strings.Replace(row["total_amount"], ".", "", 1))
		got[row["account_id"]+","+row["date"]] = fmt.Sprintf("%d in %s", total, row["transaction_count"])
	}
	if diff := cmp.Diff(s.want, got); diff != "" {
		f.Fatalf("aggregates differ from the file's:\n%.2000s", diff)
	}
}

// ends is how often a job has ended.
func (f *fleet) ends(id string) (n int) {
	f.Helper()
	f.ask(&n, `SELECT count(*) FROM steps WHERE job_id = $1 AND state IN ('JOB_COMPLETE', 'FAILED', 'ABORTED')`, id)
	return n
}

// judge looks at what is left when nothing happens any more, and names what
// should not be, or should and is not.
func (f *fleet) judge(jobs int) (wrong []string) {
	f.Helper()
	eventually(f, "the sweep", func(context.Context) bool {
		f.revive()
		var left int
		f.ask(&left, `SELECT count(*) FROM strays`)
		return left == 0
	})
	for _, look := range []struct{ what, sql string }{
		{"jobs without an end", `SELECT coalesce(string_agg(id, ' '), '') FROM jobs WHERE state NOT IN ('JOB_COMPLETE', 'FAILED')`},
		{"jobs with two ends", `SELECT coalesce(string_agg(job_id, ' '), '') FROM (SELECT job_id FROM steps
			WHERE state IN ('JOB_COMPLETE', 'FAILED', 'ABORTED') GROUP BY job_id HAVING count(*) > 1) s`},
		{"offers of lost attempts", `SELECT coalesce(string_agg(DISTINCT o.job_id, ' '), '') FROM offers o
			LEFT JOIN results r ON r.job_id = o.job_id AND r.fence = o.fence WHERE r.job_id IS NULL`},
		{"jobs beside those sent", fmt.Sprintf(`SELECT CASE count(*) WHEN %d THEN '' ELSE count(*)::text END FROM jobs`, jobs)},
		{"results of jobs not ended", `SELECT coalesce(string_agg(job_id, ' '), '') FROM results JOIN jobs ON id = job_id
			WHERE state NOT IN ('JOB_COMPLETE', 'FAILED') OR results.fence >= jobs.fence`},
		{"complete jobs without a result", `SELECT coalesce(string_agg(id, ' '), '') FROM jobs LEFT JOIN results ON job_id = id
			WHERE state = 'JOB_COMPLETE' AND job_id IS NULL`},
	} {
		var got string
		if f.ask(&got, look.sql); got != "" {
			wrong = append(wrong, look.what+": "+got)
		}
	}
	return slices.Concat(wrong, f.judgeObjects(), f.judgeFiles())
}

// judgeFiles looks for temporary files: those with a name, which nothing should
// have, and those that a worker has not closed.
func (f *fleet) judgeFiles() (wrong []string) {
	f.Helper()
	named, err := os.ReadDir(f.spill)
	f.must(err)
	for _, file := range named {
		wrong = append(wrong, "temporary file: "+file.Name())
	}
	for _, cmd := range f.workers {
		open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
		f.must(err)
		for _, fd := range open {
			// An error is a file that was closed meanwhile.
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, f.spill) {
				wrong = append(wrong, "temporary file that is still open: "+to)
			}
		}
	}
	return wrong
}

// judgeObjects compares the objects there are with those that results name.
func (f *fleet) judgeObjects() (wrong []string) {
	f.Helper()
	rows, err := f.pool.Query(f.Context(), `SELECT key FROM results, unnest(ARRAY[aggregates_key, rejects_key]) key WHERE key <> ''`)
	f.must(err)
	named, err := pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	var there []string
	for o, err := range f.bucket.List(f.Context(), "results/") {
		f.must(err)
		if there = append(there, o.Key); !slices.Contains(named, o.Key) {
			wrong = append(wrong, "orphan: "+o.Key)
		}
	}
	for _, key := range named {
		if !slices.Contains(there, key) {
			wrong = append(wrong, "a result names what is not there: "+key)
		}
	}
	if err := openMultipart(f, f.s3, "results/"); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}
