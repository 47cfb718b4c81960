package gateway_test

import (
	"net/http"
	"testing"

	"sluice/internal/aggregate"
	"sluice/internal/job"
	"sluice/internal/money"
)

func TestPortfolio(t *testing.T) {
	t.Parallel()
	s := start(t)
	offer := func(account string, score int, approved bool, amount int64) job.Offer {
		return job.Offer{AccountID: account, Day: job.NoDay, AsOfDay: 19_782, CreditScore: score, Approved: approved, AmountMinor: amount, RiskLevel: "LOW"}
	}
	row := func(account string, day int32, total, revenue int64) aggregate.Row {
		return aggregate.Row{AccountID: account, HasAccount: true, Day: day, HasDate: true, Total: money.FromInt64(total), Revenue: money.FromInt64(revenue), Count: 2}
	}
	id := s.completed(outcome{
		exponent: 2,
		// Two of one score make a sum that 64 bits do not hold.
		offers: []job.Offer{offer("a", 700, true, 1<<63-1), offer("b", 700, true, 1<<63-1), offer("c", 700, false, 0), offer("d", 310, false, 0)},
		rows:   []aggregate.Row{row("a", 0, -150, 0), row("a", 30, 1, 1), row("a", 31, 5, 5), row("b", 0, 200, 250)},
	})
	want := `{"scores":[{"credit_score":310,"decision":"declined","offers":1,"amount":0.00},` +
		`{"credit_score":700,"decision":"declined","offers":1,"amount":0.00},{"credit_score":700,"decision":"approved","offers":2,"amount":184467440737095516.14}],` +
		`"amounts":[{"from":92233720368547758.07,"to":92233720368547758.08,"offers":2}],` +
		`"months":[{"month":"1970-01","total_amount":0.51,"revenue_amount":2.51,"transaction_count":6},{"month":"1970-02","total_amount":0.05,"revenue_amount":0.05,"transaction_count":2}]}` + "\n"
	if got := s.get("/api/jobs/" + id + "/portfolio/").body; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	wantProblem(t, s.get("/api/jobs/"+s.queued(job.Draft{})+"/portfolio/"), http.StatusConflict, "unfinished")
	wantProblem(t, s.get("/api/jobs/"+s.completed(outcome{tenant: "other"})+"/portfolio/"), http.StatusNotFound, "another tenant's")
}
