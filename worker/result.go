package worker

import (
	"time"

	"sluice/internal/credit"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/parser"
)

// summary is what the job came to so far.
func (a *attempt) summary(s pipeline.Settings) job.Result {
	r, digest := a.result, s.Credit.SHA256()
	out := job.Result{
		SourceCRC64: r.Source.CRC64, SourceRead: r.Source.SizeBytes == a.job.SizeBytes,
		Engine: credit.Engine, ModelVersion: s.Credit.ModelVersion(),
		ConfigUsed: string(s.Credit.JSON()), ConfigSHA256: digest[:],
		AsOfDay: job.NoDay, CurrencyExponent: s.Credit.Exponent(), GroupBy: groupBy(s.Aggregate.GroupBy),
		TransactionsProcessed: r.Accepted, RowsRejected: r.Rejected, RejectsByReason: byReason(r.ByReason), FutureRows: r.FutureRows, AggregatesCreated: r.Aggregates,
		OffersGenerated: r.Tally.Approved, Declined: r.Tally.Declined, Skipped: r.Tally.Skipped,
		Duration:   time.Since(a.began),
		Aggregates: job.Object(a.aggregates), Rejects: job.Object(a.rejects),
	}
	if r.HasAsOf {
		out.AsOfDay = r.AsOf
	}
	return out
}

// byReason is counts with the parser's words as strings.
func byReason(counts map[parser.Reason]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for reason, rows := range counts {
		out[string(reason)] = rows
	}
	return out
}

func groupBy(g credit.GroupBy) (members []string) {
	if g.HasAccount() {
		members = append(members, "account_id")
	}
	if g.HasDate() {
		members = append(members, "date")
	}
	return members
}

func offerOf(o pipeline.Offer) job.Offer {
	out := job.Offer{
		AccountID: o.AccountID, Day: job.NoDay, Approved: o.Approved, RiskLevel: string(o.RiskLevel),
		AmountMinor: o.AmountMinor, CreditScore: o.CreditScore, TransactionCount: o.TransactionCount, Months: o.Months, AsOfDay: o.AsOf,
		CompositePPM: o.CompositePPM, VolumePPM: o.VolumePPM, RatioPPM: o.RatioPPM, ConsistencyPPM: o.ConsistencyPPM,
		ReasonCodes: make([]string, len(o.ReasonCodes)),
	}
	if o.HasDay {
		out.Day = o.Day
	}
	for i, code := range o.ReasonCodes {
		out.ReasonCodes[i] = string(code)
	}
	return out
}
