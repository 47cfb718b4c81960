package credit

import (
	"cmp"
	"slices"
)

// Reason is a code that says why an account was declined or not rated LOW.
type Reason string

// The reason codes. The first four are knock-outs: each alone declines.
const (
	NoRevenue                Reason = "NO_REVENUE"
	InsufficientHistory      Reason = "INSUFFICIENT_HISTORY"
	InsufficientTransactions Reason = "INSUFFICIENT_TRANSACTIONS"
	NoRecentActivity         Reason = "NO_RECENT_ACTIVITY"
	AmountBelowMinimum       Reason = "AMOUNT_BELOW_MINIMUM"
	ShortHistory             Reason = "SHORT_HISTORY"
	NegativeNetCashFlow      Reason = "NEGATIVE_NET_CASH_FLOW"
	LowTransactionVolume     Reason = "LOW_TRANSACTION_VOLUME"
	LowRevenueRatio          Reason = "LOW_REVENUE_RATIO"
	InconsistentRevenue      Reason = "INCONSISTENT_REVENUE"
)

// Text returns the sentence for a notice to the applicant, which a lender's
// counsel decides on before use. It is specific, as Regulation B and CFPB
// Circular 2023-03 ask. Of an unknown code it is the code itself.
func (r Reason) Text() string {
	switch r {
	case NoRevenue:
		return "No revenue deposits in the review period"
	case InsufficientHistory, ShortHistory:
		return "Length of transaction history"
	case InsufficientTransactions:
		return "Number of transactions in the review period"
	case NoRecentActivity:
		return "No recent account activity"
	case AmountBelowMinimum:
		return "Average monthly revenue insufficient for the minimum line"
	case NegativeNetCashFlow:
		return "Outflows exceed inflows"
	case LowTransactionVolume:
		return "Average monthly revenue or number of transactions"
	case LowRevenueRatio:
		return "Non-revenue flows high in relation to revenue"
	case InconsistentRevenue:
		return "Month-to-month variation of revenue"
	default:
		return string(r)
	}
}

// knockOuts is step 9: each of them alone declines.
func (c *Config) knockOuts(list []Reason, w *window) []Reason {
	if w.revenue.Sign() <= 0 {
		list = append(list, NoRevenue)
	}
	if w.months < c.minHistoryMonths {
		list = append(list, InsufficientHistory)
	}
	if w.count < c.minTransactions {
		list = append(list, InsufficientTransactions)
	}
	if !w.held || w.idle >= c.maxInactiveMonths {
		list = append(list, NoRecentActivity)
	}
	return list
}

// remarks are the reasons of step 12 that depend on no factor.
func (c *Config) remarks(list []Reason, w *window) []Reason {
	if w.months < c.thinFileMonths && w.months >= c.minHistoryMonths {
		list = append(list, ShortHistory)
	}
	if w.total.Sign() < 0 {
		list = append(list, NegativeNetCashFlow)
	}
	return list
}

// losses are the factors that cost points, the costliest first.
func (c *Config) losses(list []Reason, f factors) []Reason {
	type loss struct {
		points int64
		reason Reason
	}
	all := [...]loss{
		{c.weights.volume * (PPM - f.volume), LowTransactionVolume},
		{c.weights.ratio * (PPM - f.ratio), LowRevenueRatio},
		{c.weights.consistency * (PPM - f.consistency), InconsistentRevenue},
	}
	slices.SortStableFunc(all[:], func(a, b loss) int { return cmp.Compare(b.points, a.points) })
	for _, l := range all {
		if l.points > 0 {
			list = append(list, l.reason)
		}
	}
	return list
}
