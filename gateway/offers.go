package gateway

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
)

// offerJSON is one decision. Its amounts and rates are texts of numbers, so
// that JSON and CSV show the same digits.
type offerJSON struct {
	AccountID        *string      `json:"account_id"`
	Date             *string      `json:"date"`
	OfferType        string       `json:"offer_type"`
	Amount           json.Number  `json:"amount"`
	InterestRate     *json.Number `json:"interest_rate"`
	CreditScore      int          `json:"credit_score"`
	RiskLevel        string       `json:"risk_level"`
	TransactionCount int64        `json:"transaction_count"`
	Decision         job.Decision `json:"decision"`
	Months           int          `json:"months"`
	Composite        json.Number  `json:"composite"`
	Factors          factorsJSON  `json:"factors"`
	ReasonCodes      []string     `json:"reason_codes"`
	AsOf             *string      `json:"as_of"`
	ModelVersion     string       `json:"model_version"`
}

// factorsJSON are the three factors, each from 0 to 1.
type factorsJSON struct {
	TransactionVolume json.Number `json:"transaction_volume"`
	RevenueRatio      json.Number `json:"revenue_ratio"`
	Consistency       json.Number `json:"consistency"`
}

// offerHeader returns the columns of the CSV.
func offerHeader() []string {
	return []string{
		"account_id", "date", "offer_type", "amount", "interest_rate", "credit_score", "risk_level", "transaction_count", "decision",
		"months", "composite", "transaction_volume", "revenue_ratio", "consistency", "reason_codes", "as_of", "model_version",
	}
}

// cells writes no value as an empty cell and joins the reasons by spaces.
func (o offerJSON) cells() []string {
	rate := ""
	if o.InterestRate != nil {
		rate = o.InterestRate.String()
	}
	return []string{
		optional(o.AccountID), optional(o.Date), cell(o.OfferType), o.Amount.String(), rate, strconv.Itoa(o.CreditScore), o.RiskLevel,
		strconv.FormatInt(o.TransactionCount, 10), string(o.Decision), strconv.Itoa(o.Months), o.Composite.String(),
		o.Factors.TransactionVolume.String(), o.Factors.RevenueRatio.String(), o.Factors.Consistency.String(),
		strings.Join(o.ReasonCodes, " "), optional(o.AsOf), cell(o.ModelVersion),
	}
}

// offers answers with a page of a complete job's offers, or streams them all.
func (g *Gateway) offers(c echo.Context) error {
	media, err := negotiate(c, mediaJSON, mediaCSV, mediaNDJSON)
	if err != nil {
		return err
	}
	filter, err := offerFilter(c)
	if err != nil {
		return err
	}
	j, err := g.completeJob(c)
	if err != nil {
		return err
	}
	render, err := newOfferRenderer(j.Result)
	if err != nil {
		return err
	}
	if media != mediaJSON && filter.Order != (job.OfferOrder{}) { // each page of them would read all offers again
		return badField("sort", "is for pages of JSON; all offers come in the order of their accounts")
	}
	if err := g.reads(c, j, "offers"); err != nil {
		return err
	}
	if media == mediaJSON {
		return g.offerPage(c, j, filter, render)
	}
	filter.Limit, filter.After = 0, nil
	all := g.cfg.Jobs.EachOffer(c.Request().Context(), j.Tenant, j.ID, filter)
	return stream(c, media, j.ID+"-offers", offerHeader(), render.each(all))
}

func (g *Gateway) offerPage(c echo.Context, j job.Job, filter job.OfferFilter, render *offerRenderer) error {
	limit := filter.Limit
	filter.Limit++
	offers, err := g.cfg.Jobs.Offers(c.Request().Context(), j.Tenant, j.ID, filter)
	if err != nil {
		return err
	}
	offers, more := cut(offers, limit)
	page := offersJSON{Offers: make([]offerJSON, len(offers)), Summary: summaryOf(j.Result), Model: modelOf(j.Result)}
	for i, o := range offers {
		page.Offers[i] = render.offer(o)
	}
	if more {
		page.NextCursor = encodeCursor(*filter.Order.At(offers[limit-1]))
	}
	return writeJSON(c, page)
}

func offerFilter(c echo.Context) (f job.OfferFilter, err error) {
	f = job.OfferFilter{Decision: job.Decision(c.QueryParam("decision")), RiskLevel: c.QueryParam("risk_level"), AccountID: queryAccount(c)}
	switch f.Decision {
	case "", job.ApprovedOnly, job.DeclinedOnly, job.AllDecisions:
	default:
		return f, badField("decision", "must be approved, declined or all")
	}
	switch f.RiskLevel {
	case "", "LOW", "MEDIUM", "HIGH":
	default:
		return f, badField("risk_level", "must be LOW, MEDIUM or HIGH")
	}
	if f.Order, err = offerOrder(c); err != nil {
		return f, err
	}
	if f.Limit, err = limit(c, maxRows); err != nil {
		return f, err
	}
	f.After, err = decodeCursor[job.OfferCursor](c)
	if f.After != nil && (f.After.OfferOrder != f.Order || !plausible(*f.After)) {
		err = badCursor()
	}
	return f, err
}

// offerOrder reads the sort parameter: a column, after a minus the other way round.
func offerOrder(c echo.Context) (o job.OfferOrder, err error) {
	column, descending := strings.CutPrefix(c.QueryParam("sort"), "-")
	switch o = (job.OfferOrder{Sort: job.OfferSort(column), Descending: descending}); {
	case column == "account_id":
		o.Sort = ""
	case o == job.OfferOrder{}, o.Sort == job.ByAmount, o.Sort == job.ByCreditScore, o.Sort == job.ByRiskLevel:
	default:
		err = badField("sort", "must be account_id, amount, credit_score or risk_level, or one of these after a minus")
	}
	return o, err
}

// plausible tells whether Postgres can hold the cursor's text and date. One of
// our own always is: dates in files have four digits for the year.
func plausible(c job.OfferCursor) bool {
	const firstDay, lastDay = -719_528, 2_932_896 // 0000-01-01 and 9999-12-31
	return !strings.Contains(c.AccountID, "\x00") && (c.Day == job.NoDay || c.Day >= firstDay && c.Day <= lastDay)
}

// queryAccount returns the account_id parameter, or nil where there is none.
func queryAccount(c echo.Context) *string {
	if !c.QueryParams().Has("account_id") {
		return nil
	}
	id := c.QueryParam("account_id")
	return &id
}

// offerRenderer adds to each offer what is the whole job's.
type offerRenderer struct {
	result *job.Result
	config offerConfig
}

// offerConfig is what an offer shows of the effective configuration; rates
// keep the digits they were written with.
type offerConfig struct {
	OfferType     string                 `json:"offer_type"`
	InterestRates map[string]json.Number `json:"interest_rates"`
}

func newOfferRenderer(r *job.Result) (*offerRenderer, error) {
	render := &offerRenderer{result: r}
	if err := json.Unmarshal([]byte(r.ConfigUsed), &render.config); err != nil {
		return nil, fmt.Errorf("read configuration of result: %w", err)
	}
	return render, nil
}

func (r *offerRenderer) offer(o job.Offer) offerJSON {
	out := offerJSON{
		Date: date(o.Day), OfferType: r.config.OfferType, Amount: wholeAmount(o.AmountMinor, r.result.CurrencyExponent),
		CreditScore: o.CreditScore, RiskLevel: o.RiskLevel, TransactionCount: o.TransactionCount, Decision: job.DeclinedOnly,
		Months: o.Months, Composite: fraction(o.CompositePPM),
		Factors:     factorsJSON{fraction(o.VolumePPM), fraction(o.RatioPPM), fraction(o.ConsistencyPPM)},
		ReasonCodes: o.ReasonCodes, AsOf: date(o.AsOfDay), ModelVersion: r.result.ModelVersion,
	}
	if o.AccountID != "" { // an account without an id is a rejected row
		out.AccountID = &o.AccountID
	}
	if out.ReasonCodes == nil {
		out.ReasonCodes = []string{}
	}
	if o.Approved {
		out.Decision = job.ApprovedOnly
		rate := r.config.InterestRates[o.RiskLevel]
		out.InterestRate = &rate
	}
	return out
}

func (r *offerRenderer) each(offers iter.Seq2[job.Offer, error]) iter.Seq2[offerJSON, error] {
	return func(yield func(offerJSON, error) bool) {
		for o, err := range offers {
			if !yield(r.offer(o), err) || err != nil {
				return
			}
		}
	}
}

// offersJSON is one page of offers.
type offersJSON struct {
	Offers     []offerJSON `json:"offers"`
	Summary    summaryJSON `json:"pipeline_summary"`
	Model      modelJSON   `json:"credit_model_results"`
	NextCursor *string     `json:"next_cursor"`
}

type summaryJSON struct {
	TransactionsProcessed int64       `json:"transactions_processed"`
	RowsRejected          int64       `json:"rows_rejected"`
	FutureRows            int64       `json:"future_rows"`
	AggregatesCreated     int64       `json:"aggregates_created"`
	OffersGenerated       int64       `json:"offers_generated"`
	Declined              int64       `json:"declined"`
	Skipped               int64       `json:"skipped"`
	DurationSeconds       json.Number `json:"duration_seconds"`
}

func summaryOf(r *job.Result) summaryJSON {
	return summaryJSON{
		TransactionsProcessed: r.TransactionsProcessed, RowsRejected: r.RowsRejected, FutureRows: r.FutureRows,
		AggregatesCreated: r.AggregatesCreated, OffersGenerated: r.OffersGenerated, Declined: r.Declined, Skipped: r.Skipped,
		DurationSeconds: seconds(r.Duration),
	}
}

// modelJSON says by what the decisions were taken.
type modelJSON struct {
	Engine       string          `json:"engine"`
	ModelVersion string          `json:"model_version"`
	AsOf         *string         `json:"as_of"`
	ConfigSHA256 string          `json:"config_sha256"`
	ConfigUsed   json.RawMessage `json:"config_used"`
}

func modelOf(r *job.Result) modelJSON {
	return modelJSON{
		Engine: r.Engine, ModelVersion: r.ModelVersion, AsOf: date(r.AsOfDay),
		ConfigSHA256: hex.EncodeToString(r.ConfigSHA256), ConfigUsed: json.RawMessage(r.ConfigUsed),
	}
}
