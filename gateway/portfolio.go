package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/labstack/echo/v4"

	"sluice/internal/aggregate"
	"sluice/internal/job"
	"sluice/internal/money"
)

// portfolioJSON is a complete job at a glance: what the page draws.
type portfolioJSON struct {
	Scores  []scoreJSON  `json:"scores"`
	Amounts []amountJSON `json:"amounts"`
	Months  []monthJSON  `json:"months"`
}

// scoreJSON counts the decisions of one score.
type scoreJSON struct {
	Score    int          `json:"credit_score"`
	Decision job.Decision `json:"decision"`
	Offers   int64        `json:"offers"`
	Amount   json.Number  `json:"amount"`
}

// amountJSON counts the approved offers of From and more, and less than To.
type amountJSON struct {
	From   json.Number `json:"from"`
	To     json.Number `json:"to"`
	Offers int64       `json:"offers"`
}

// monthJSON sums a calendar month over all accounts.
type monthJSON struct {
	Month   string      `json:"month"` // YYYY-MM
	Total   json.Number `json:"total_amount"`
	Revenue json.Number `json:"revenue_amount"`
	Count   int64       `json:"transaction_count"`
}

// portfolio answers with a complete job's decisions by score, its offers by
// amount, and its sums by month. Sums without a date belong to no month.
func (g *Gateway) portfolio(c echo.Context) error {
	j, err := g.completeJob(c)
	if err != nil {
		return err
	}
	if err := g.reads(c, j, "portfolio"); err != nil {
		return err
	}
	scores, err := g.cfg.Jobs.Scores(c.Request().Context(), j.Tenant, j.ID)
	if err != nil {
		return err
	}
	amounts, err := g.cfg.Jobs.Amounts(c.Request().Context(), j.Tenant, j.ID)
	if err != nil {
		return err
	}
	exponent := j.Result.CurrencyExponent
	answer := portfolioJSON{Scores: scoresOf(scores, exponent), Amounts: amountsOf(amounts, exponent), Months: []monthJSON{}}
	if j.Result.Aggregates.Key != "" {
		file, err := g.openAggregates(c, j)
		if err != nil {
			return err
		}
		if answer.Months, err = monthsOf(file); err != nil {
			return err
		}
	}
	return writeJSON(c, answer)
}

func scoresOf(counts []job.ScoreCount, exponent int) []scoreJSON {
	out := make([]scoreJSON, len(counts))
	for i, s := range counts {
		out[i] = scoreJSON{Score: s.Score, Decision: job.DeclinedOnly, Offers: s.Offers, Amount: amount(s.AmountMinor, exponent)}
		if s.Approved {
			out[i].Decision = job.ApprovedOnly
		}
	}
	return out
}

func amountsOf(counts []job.AmountCount, exponent int) []amountJSON {
	out := make([]amountJSON, len(counts))
	for i, c := range counts {
		from := money.FromInt64(c.FromMinor)
		out[i] = amountJSON{From: amount(from, exponent), To: amount(from.Add(money.FromInt64(c.WidthMinor)), exponent), Offers: c.Offers}
	}
	return out
}

func monthsOf(file *aggregate.File) ([]monthJSON, error) {
	type sums struct {
		total, revenue money.Int
		count          int64
	}
	byDay := map[int32]sums{}
	for r, err := range file.All(nil) {
		if err != nil {
			return nil, fmt.Errorf("read aggregates: %w", err)
		}
		if r.HasDate {
			s := byDay[r.Day]
			byDay[r.Day] = sums{s.total.Add(r.Total), s.revenue.Add(r.Revenue), s.count + r.Count}
		}
	}
	byMonth := map[string]sums{}
	for day, d := range byDay {
		month := civil(day)[:len("YYYY-MM")]
		s := byMonth[month]
		byMonth[month] = sums{s.total.Add(d.total), s.revenue.Add(d.revenue), s.count + d.count}
	}
	months := make([]monthJSON, 0, len(byMonth))
	for _, month := range slices.Sorted(maps.Keys(byMonth)) {
		s := byMonth[month]
		months = append(months, monthJSON{month, amount(s.total, file.Exponent()), amount(s.revenue, file.Exponent()), s.count})
	}
	return months, nil
}
