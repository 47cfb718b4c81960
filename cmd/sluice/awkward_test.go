package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// awkward are transactions with all that a text may hold, amounts beyond what a
// float keeps, and some that are rejected, each for the same reason at every door.
func awkward(rows int) (ts transactions, rejected int) {
	accounts := []string{"A1", "a,b", `say "x"`, "two\nlines", "é😀", "00123", " blanks ", "9007199254740993"}
	for i := range rows {
		row := [4]string{
			fmt.Sprint(accounts[i%len(accounts)], i%89), fmt.Sprintf("2024-%02d-%02d", i%12+1, i%28+1),
			fmt.Sprintf("%d.%02d", i*7919%100_000-20_000, i%100), [3]string{"", "true", "false"}[i%3],
		}
		switch i % 500 {
		case 17:
			row[1] += "T23:59:59Z"
		case 18:
			row[2] = "12345678901234.25"
		case 19:
			row[1], rejected = "2024-02-30", rejected+1
		case 20:
			row[2], rejected = "1e5", rejected+1
		case 21:
			row[0], rejected = "", rejected+1
		}
		ts = append(ts, row)
	}
	return ts, rejected
}

// TestAwkwardTransactions: what is awkward ends at every door as the same
// aggregates and offers, byte for byte, and as the same rejects.
func TestAwkwardTransactions(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	ts, rejected := awkward(25_000)
	w.run("watch", "add", "drops/in/")
	s := serve(t, w.env, "127.0.0.1:0")
	w.events(s)
	ids := map[string]string{"tus": send(t, s.url, string(ts.csv(t)))}
	w.put("in/all.csv", string(ts.csv(t)))
	w.wantJob("in/all.csv")
	var dropped string
	w.must(w.pool.QueryRow(t.Context(), "SELECT job_id FROM drops").Scan(&dropped))
	ids["S3 drop"] = dropped
	for name, door := range doors {
		ids[name] = door(&doorClient{TB: t, url: func() string { return s.url }}, ts)
	}
	results := map[string][3]string{}
	for name, id := range ids {
		eventually(t, name, func(context.Context) bool { return s.status(t, id).State == "JOB_COMPLETE" })
		results[name] = [3]string{
			string(fetch(t, s.url+"/api/jobs/"+id+"/aggregates/", "text/csv")),
			string(fetch(t, s.url+"/api/jobs/"+id+"/offers/?decision=all", "text/csv")),
			reasons(t, s.url, id, name),
		}
	}
	want := results["tus"]
	if n := strings.Count(want[0], "\n"); n < 1000 || strings.Count(want[1], "\n") < 100 || strings.Count(want[2], "\n") != rejected {
		t.Errorf("%d lines of aggregates, and rejects are\n%s", n, want[2])
	}
	for name, got := range results {
		for i, what := range []string{"aggregates", "offers", "rejects"} {
			if got[i] != want[i] {
				t.Errorf("%s: other %s than by tus:\n%.2000s", name, what, cmp.Diff(want[i], got[i]))
			}
		}
	}
	s.stop(t)
}

// reasons are a job's rejects, without what tells where in its own file each
// stood. That must be where it stood among the transactions.
func reasons(t testing.TB, url, id, door string) string {
	t.Helper()
	var out strings.Builder
	for _, row := range table(t, fetch(t, url+"/api/jobs/"+id+"/rejects/", "text/csv")) {
		fmt.Fprintf(&out, "%s %q %q %q\n", row["reason"], row["account_id"], row["date"], row["amount"])
		if row["index"] == "" {
			continue
		}
		at := atoi(t, row["index"])
		for _, batch := range []string{"chunk", "batch"} {
			if number := row[batch]; number != "" {
				at += (atoi(t, number) - 1) * 10_000
			}
		}
		if want := at%500 >= 19 && at%500 <= 21; !want {
			t.Errorf("%s: the reject %v is not where a bad one was", door, row)
		}
	}
	return out.String()
}
