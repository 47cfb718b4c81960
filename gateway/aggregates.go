package gateway

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"

	"github.com/labstack/echo/v4"

	"sluice/internal/aggregate"
	"sluice/internal/blob"
	"sluice/internal/job"
)

// aggregateJSON is one row of sums.
type aggregateJSON struct {
	AccountID        *string     `json:"account_id"`
	Date             *string     `json:"date"`
	TotalAmount      json.Number `json:"total_amount"`
	RevenueAmount    json.Number `json:"revenue_amount"`
	TransactionCount int64       `json:"transaction_count"`
}

func aggregateHeader() []string {
	return []string{"account_id", "date", "total_amount", "revenue_amount", "transaction_count"}
}

func (a aggregateJSON) cells() []string {
	return []string{optional(a.AccountID), optional(a.Date), a.TotalAmount.String(), a.RevenueAmount.String(), strconv.FormatInt(a.TransactionCount, 10)}
}

// aggregates answers with a page of a complete job's aggregates, streams them
// all, or hands out the Parquet file itself.
func (g *Gateway) aggregates(c echo.Context) error {
	media, err := negotiate(c, mediaJSON, mediaCSV, mediaNDJSON, mediaParquet)
	if err != nil {
		return err
	}
	account := queryAccount(c)
	if media == mediaParquet && account != nil {
		return badField("account_id", "cannot be combined with Parquet, which is the whole file")
	}
	limit, err := limit(c, maxRows)
	if err != nil {
		return err
	}
	after, err := decodeCursor[aggregate.Cursor](c)
	if err != nil {
		return err
	}
	j, err := g.completeJob(c)
	if err != nil {
		return err
	}
	if err := g.reads(c, j, "aggregates"); err != nil {
		return err
	}
	if media == mediaParquet {
		return g.object(c, media, j.ID+"-aggregates.parquet", j.Result.Aggregates)
	}
	file, err := g.openAggregates(c, j)
	if err != nil {
		return err
	}
	if media == mediaJSON {
		return aggregatePage(c, file, after, account, limit)
	}
	return stream(c, media, j.ID+"-aggregates", aggregateHeader(), eachAggregate(file, account))
}

func (g *Gateway) openAggregates(c echo.Context, j job.Job) (*aggregate.File, error) {
	o := j.Result.Aggregates
	if o.Key == "" {
		return nil, noObject()
	}
	file, err := aggregate.Open(g.cfg.Bucket.ReaderAt(c.Request().Context(), blob.Object(o)), o.SizeBytes)
	if err != nil {
		return nil, fmt.Errorf("open aggregates: %w", err)
	}
	return file, nil
}

func aggregatePage(c echo.Context, file *aggregate.File, after *aggregate.Cursor, account *string, limit int) error {
	rows, err := file.Page(after, account, limit+1)
	if err != nil {
		return fmt.Errorf("read aggregates: %w", err)
	}
	rows, more := cut(rows, limit)
	answer := struct {
		Aggregates []aggregateJSON `json:"aggregates"`
		NextCursor *string         `json:"next_cursor"`
	}{Aggregates: make([]aggregateJSON, len(rows))}
	for i, r := range rows {
		answer.Aggregates[i] = aggregateOf(r, file.Exponent())
	}
	if more {
		answer.NextCursor = encodeCursor(rows[limit-1].Cursor())
	}
	return writeJSON(c, answer)
}

func aggregateOf(r aggregate.Row, exponent int) aggregateJSON {
	a := aggregateJSON{TotalAmount: amount(r.Total, exponent), RevenueAmount: amount(r.Revenue, exponent), TransactionCount: r.Count}
	if r.HasAccount {
		a.AccountID = &r.AccountID
	}
	if r.HasDate {
		day := civil(r.Day)
		a.Date = &day
	}
	return a
}

func eachAggregate(file *aggregate.File, account *string) iter.Seq2[aggregateJSON, error] {
	return func(yield func(aggregateJSON, error) bool) {
		for r, err := range file.All(account) {
			if !yield(aggregateOf(r, file.Exponent()), err) || err != nil {
				return
			}
		}
	}
}
