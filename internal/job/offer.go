package job

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

// OfferCursor is the place of one offer in the order of offers.
type OfferCursor struct {
	AccountID string
	Day       int32 // NoDay where the grouping has none
}

// OfferFilter chooses and pages offers.
type OfferFilter struct {
	Decision  Decision
	AccountID *string      // nil: all; &"": the series without an account
	RiskLevel string       // "": all
	After     *OfferCursor // nil: from the first; else those behind it
	Limit     int          // 1 to 10,000; 0 means 1000
}
