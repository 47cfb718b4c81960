package job

import "slices"

// Offer is one decision of the model, approved or declined. Rates, offer type,
// currency and model are the job's: see Result.
type Offer struct {
	AccountID        string // "" where the grouping has none
	Day              int32  // NoDay where the grouping has none
	Approved         bool
	RiskLevel        string // LOW, MEDIUM or HIGH
	AmountMinor      int64  // in units of 10^-CurrencyExponent; 0 when declined
	CreditScore      int
	TransactionCount int64
	Months           int
	AsOfDay          int32
	// Parts per million.
	CompositePPM, VolumePPM, RatioPPM, ConsistencyPPM int64
	ReasonCodes                                       []string // most important first
}

// Decision chooses offers by their outcome.
type Decision string

// The decisions that a reader can ask for. The zero value means ApprovedOnly.
const (
	ApprovedOnly Decision = "approved"
	DeclinedOnly Decision = "declined"
	AllDecisions Decision = "all"
)

// OfferSort is what offers are ordered by. The zero value means their account id
// (by bytes) and day, which also decide between offers that are equal otherwise.
type OfferSort string

// What else offers can be ordered by: each page of it reads all of the job's.
const (
	ByAmount      OfferSort = "amount"
	ByCreditScore OfferSort = "credit_score"
	ByRiskLevel   OfferSort = "risk_level" // LOW, MEDIUM, HIGH
)

// riskLevels are the model's, in the order of ByRiskLevel.
var riskLevels = []string{"LOW", "MEDIUM", "HIGH"}

// OfferOrder is an order of offers, ascending unless it says otherwise.
type OfferOrder struct {
	Sort       OfferSort `json:",omitempty"`
	Descending bool      `json:",omitempty"`
}

// OfferCursor is the place of one offer in an order of offers.
type OfferCursor struct {
	OfferOrder
	Rank      int64 `json:",omitempty"` // of the offer in that order: see OfferOrder.rank
	AccountID string
	Day       int32 // NoDay where the grouping has none
}

// At returns the place of an offer in this order.
func (o OfferOrder) At(offer Offer) *OfferCursor {
	return &OfferCursor{OfferOrder: o, Rank: o.rank(offer), AccountID: offer.AccountID, Day: offer.Day}
}

// rank returns a number that grows in this order, as ListOffersRanked does. It is
// 0 where the account decides.
func (o OfferOrder) rank(offer Offer) (rank int64) {
	switch o.Sort {
	case ByAmount:
		rank = offer.AmountMinor
	case ByCreditScore:
		rank = int64(offer.CreditScore)
	case ByRiskLevel:
		rank = int64(1 + slices.Index(riskLevels, offer.RiskLevel))
	}
	return o.sign() * rank
}

func (o OfferOrder) sign() int64 {
	if o.Descending {
		return -1
	}
	return 1
}

// OfferFilter chooses, orders and pages offers.
type OfferFilter struct {
	Decision  Decision
	AccountID *string // nil: all; &"": the series without an account
	RiskLevel string  // "": all
	Order     OfferOrder
	After     *OfferCursor // nil: from the first; else those behind it, by the same order
	Limit     int          // 1 to 10,000; 0 means 1000
}
