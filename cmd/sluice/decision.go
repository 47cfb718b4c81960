package main

import (
	"fmt"
	"strings"
	"time"

	"sluice/internal/credit"
	"sluice/internal/money"
	"sluice/internal/pipeline"
)

// decision is one of the first that a file would end with.
type decision struct {
	AccountID string          `json:"account_id,omitempty"` // absent where accounts are pooled
	Date      string          `json:"date,omitempty"`       // of a decision on one date
	Approved  bool            `json:"approved"`
	Amount    string          `json:"amount"` // in the unit of the currency
	Score     int             `json:"credit_score"`
	Risk      credit.Level    `json:"risk_level"`
	Reasons   []credit.Reason `json:"reason_codes"`
}

// decide takes all decisions and returns the first.
func decide(result *pipeline.Result, exponent int) ([]decision, error) {
	const most = 5
	first := []decision{}
	for offer, err := range result.Offers() {
		if err != nil {
			return nil, err
		}
		if len(first) == most {
			continue // the tally is of them all
		}
		d := decision{
			AccountID: offer.AccountID, Approved: offer.Approved,
			Amount: string(money.FromInt64(offer.AmountMinor).AppendDecimal(nil, exponent)),
			Score:  offer.CreditScore, Risk: offer.RiskLevel, Reasons: offer.ReasonCodes,
		}
		if offer.HasDay {
			d.Date = isoDate(offer.Day)
		}
		first = append(first, d)
	}
	return first, nil
}

func isoDate(day int32) string {
	return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly)
}

func (d *decision) String() string {
	whose := strings.TrimSpace(printable(d.AccountID) + " " + d.Date)
	verdict := "declined"
	if d.Approved {
		verdict = "approved " + d.Amount
	}
	codes := make([]string, len(d.Reasons))
	for i, reason := range d.Reasons {
		codes[i] = string(reason)
	}
	return fmt.Sprintf("%s: %s, score %d, risk %s; %s", whose, verdict, d.Score, d.Risk, strings.Join(codes, ", "))
}
