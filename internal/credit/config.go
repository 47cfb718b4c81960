package credit

import (
	"crypto/sha256"
	"fmt"
)

// ConfigError says which setting cannot be used, and why.
type ConfigError struct {
	Key    string // such as rolling_period or interest_rates.LOW; empty: the whole text
	Detail string // a predicate: "must be 1 to 120, not 0"
}

// Error returns the key and what is wrong with it.
func (e *ConfigError) Error() string {
	if e.Key == "" {
		return "credit configuration " + e.Detail
	}
	return e.Key + " " + e.Detail
}

func refuse(key, format string, args ...any) error {
	return &ConfigError{Key: key, Detail: fmt.Sprintf(format, args...)}
}

// Config is an effective credit configuration: each setting as given, else its
// default. ParseConfig makes it; the zero Config is of no use. It does not
// change, and goroutines may share it.
type Config struct {
	modelVersion, currency, offerType string

	// Counts.
	rollingPeriod, minHistoryMonths, minTransactions, maxInactiveMonths int64
	thinFileMonths, consistencyMinMonths, maxReasons                    int64
	currencyExponent, futureToleranceDays, scoreMin, scoreMax           int64

	// Millionths.
	weights                                             weights
	riskThreshold, mediumThreshold, declineThreshold    int64
	volumeAmountCurve, volumeCountCurve, ratioCurve     curve
	volumeCountShare                                    int64
	consistencyDefault, consistencyMaxCV                int64
	amountMultiples                                     perLevel[int64]
	negativeNetFactor, amountStep, minAmount, maxAmount int64
	minorUnit                                           int64 // one minor unit

	interestRates    perLevel[string] // as written
	asOf             optionalDay
	partialMonth     partialMonth
	thinFileMaxLevel Level
	offerScope       Scope

	json   string
	sha256 [sha256.Size]byte
}

// weights are those of the three factors; only their proportions matter.
type weights struct{ volume, ratio, consistency int64 }

type optionalDay struct {
	day int32
	set bool
}

// partialMonth says what becomes of the month of as_of while it is not over.
type partialMonth string

const (
	includePartial partialMonth = "include"
	excludePartial partialMonth = "exclude"
)

// defaults is what each key means where it is not given. The numbers illustrate
// the model: they are fitted to no loan performance, and a lender validates
// them before use.
const defaults = `{"model_version":"v2.1","rolling_period":12,"risk_threshold":0.7,
 "credit_score_weights":{"transaction_volume":0.4,"revenue_ratio":0.3,"consistency":0.3},
 "medium_threshold":0.5,"decline_threshold":0.3,"score_min":300,"score_max":850,
 "currency":"USD","currency_exponent":2,"as_of":null,"future_tolerance_days":1,"partial_month":"include",
 "min_history_months":1,"min_transactions":1,"max_inactive_months":3,"thin_file_months":3,"thin_file_max_level":"HIGH",
 "volume_count_share":0.5,
 "volume_amount_curve":[[0,0],[1000,0.2],[5000,0.5],[20000,0.8],[50000,1]],
 "volume_count_curve":[[0,0],[5,0.25],[20,0.6],[60,0.85],[150,1]],
 "revenue_ratio_curve":[[0.25,0],[0.5,0.75],[0.75,1]],
 "consistency_min_months":3,"consistency_default":0.5,"consistency_max_cv":1.0,
 "offer_type":"credit_line","amount_multiples":{"LOW":1.0,"MEDIUM":0.5,"HIGH":0.25},"negative_net_factor":0.5,
 "amount_step":100,"min_amount":500,"max_amount":250000,
 "interest_rates":{"LOW":0.05,"MEDIUM":0.09,"HIGH":0.15},"max_reasons":4,"offer_scope":"auto"}`

// ParseConfig reads a credit_model_config, a JSON object of which every key is
// optional; empty text is one without keys. Numbers are read from their
// decimals, never through a float. What cannot be used is a *ConfigError.
func ParseConfig(text []byte) (Config, error) {
	var c Config
	if _, err := c.read([]byte(defaults)); err != nil {
		return Config{}, err
	}
	if len(text) > 0 {
		given, err := c.read(text)
		if err != nil {
			return Config{}, err
		}
		c.followRisk(given)
	}
	c.minorUnit = minorUnit(c.currencyExponent)
	if err := c.check(); err != nil {
		return Config{}, err
	}
	c.seal()
	return c, nil
}

// JSON returns the effective configuration as canonical JSON: every key, in
// the order of their bytes, numbers in their shortest form (interest rates as
// written), no blanks. ParseConfig reads it back to the same Config.
func (c Config) JSON() []byte { return []byte(c.json) }

// SHA256 returns the digest of JSON, by which decisions name their Config.
func (c Config) SHA256() [sha256.Size]byte { return c.sha256 }

// ModelVersion returns the label model_version. The engine's own name is Engine.
func (c Config) ModelVersion() string { return c.modelVersion }

// Currency returns the label currency.
func (c Config) Currency() string { return c.currency }

// Exponent returns currency_exponent, 0 to 6: a minor unit is 10^-Exponent.
func (c Config) Exponent() int { return int(c.currencyExponent) }

// FutureToleranceDays returns by how many days a row's date may pass the job's
// reference date, 0 to 10^9.
func (c Config) FutureToleranceDays() int { return int(c.futureToleranceDays) }

// AsOf returns as_of in days since 1970-01-01; ok is false where it is null and
// the greatest date of the file takes its place.
func (c Config) AsOf() (day int32, ok bool) { return c.asOf.day, c.asOf.set }

// InterestRate returns the rate of a level, a decimal as the text wrote it.
func (c Config) InterestRate(l Level) string { return c.interestRates.of(l) }
