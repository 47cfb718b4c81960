package credit

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// setting is one key of the configuration: how it is read into a Config, and
// how it is written canonically.
type setting struct {
	key   string
	read  func(c *Config, v json.RawMessage) error
	write func(c *Config, dst []byte) []byte
}

// Ranges that are ours and not the model's: wide enough for every use, narrow
// enough that nothing computed from them leaves int64.
const (
	maxCount     = 1_000_000_000
	maxWeight    = 1_000_000 * PPM
	maxTextRunes = 64
)

// settings lists every key in the order of their bytes.
func settings() []setting {
	return []setting{
		multiples("amount_multiples", func(c *Config) *perLevel[int64] { return &c.amountMultiples }),
		number("amount_step", 1, maxNumber, func(c *Config) *int64 { return &c.amountStep }),
		dayOrNull("as_of", func(c *Config) *optionalDay { return &c.asOf }),
		number("consistency_default", 0, PPM, func(c *Config) *int64 { return &c.consistencyDefault }),
		number("consistency_max_cv", 1, maxNumber, func(c *Config) *int64 { return &c.consistencyMaxCV }),
		integer("consistency_min_months", 0, maxCount, func(c *Config) *int64 { return &c.consistencyMinMonths }),
		factorWeights("credit_score_weights", func(c *Config) *weights { return &c.weights }),
		label("currency", func(c *Config) *string { return &c.currency }),
		integer("currency_exponent", 0, decimals, func(c *Config) *int64 { return &c.currencyExponent }),
		number("decline_threshold", 0, PPM, func(c *Config) *int64 { return &c.declineThreshold }),
		integer("future_tolerance_days", 0, maxCount, func(c *Config) *int64 { return &c.futureToleranceDays }),
		rates("interest_rates", func(c *Config) *perLevel[string] { return &c.interestRates }),
		number("max_amount", 0, maxNumber, func(c *Config) *int64 { return &c.maxAmount }),
		integer("max_inactive_months", 0, maxCount, func(c *Config) *int64 { return &c.maxInactiveMonths }),
		integer("max_reasons", 0, maxCount, func(c *Config) *int64 { return &c.maxReasons }),
		number("medium_threshold", 0, PPM, func(c *Config) *int64 { return &c.mediumThreshold }),
		number("min_amount", 0, maxNumber, func(c *Config) *int64 { return &c.minAmount }),
		integer("min_history_months", 0, maxCount, func(c *Config) *int64 { return &c.minHistoryMonths }),
		integer("min_transactions", 0, maxCount, func(c *Config) *int64 { return &c.minTransactions }),
		label("model_version", func(c *Config) *string { return &c.modelVersion }),
		number("negative_net_factor", 0, maxNumber, func(c *Config) *int64 { return &c.negativeNetFactor }),
		choice("offer_scope", func(c *Config) *Scope { return &c.offerScope }, ScopeAuto, ScopeEntity, ScopeGroup),
		label("offer_type", func(c *Config) *string { return &c.offerType }),
		choice("partial_month", func(c *Config) *partialMonth { return &c.partialMonth }, includePartial, excludePartial),
		corners("revenue_ratio_curve", func(c *Config) *curve { return &c.ratioCurve }),
		number("risk_threshold", 0, PPM, func(c *Config) *int64 { return &c.riskThreshold }),
		integer("rolling_period", 1, 120, func(c *Config) *int64 { return &c.rollingPeriod }),
		integer("score_max", -maxCount, maxCount, func(c *Config) *int64 { return &c.scoreMax }),
		integer("score_min", -maxCount, maxCount, func(c *Config) *int64 { return &c.scoreMin }),
		choice("thin_file_max_level", func(c *Config) *Level { return &c.thinFileMaxLevel }, Low, Medium, High),
		integer("thin_file_months", 0, maxCount, func(c *Config) *int64 { return &c.thinFileMonths }),
		corners("volume_amount_curve", func(c *Config) *curve { return &c.volumeAmountCurve }),
		corners("volume_count_curve", func(c *Config) *curve { return &c.volumeCountCurve }),
		number("volume_count_share", 0, PPM, func(c *Config) *int64 { return &c.volumeCountShare }),
	}
}

// number is a decimal, kept in millionths, from least to most millionths.
func number(key string, least, most int64, at func(*Config) *int64) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) (err error) {
			*at(c), err = readNumber(key, v, least, most)
			return err
		},
		write: func(c *Config, dst []byte) []byte { return appendDecimal(dst, *at(c)) },
	}
}

func readNumber(key string, v json.RawMessage, least, most int64) (int64, error) {
	n, ok := parseDecimal(v)
	if !ok {
		return 0, refuse(key, "must be a number of at most %d decimals, without exponent and up to %d, not %s",
			decimals, maxWhole, excerpt(v))
	}
	if n < least || n > most {
		return 0, refuse(key, "must be %s to %s, not %s", appendDecimal(nil, least), appendDecimal(nil, most), v)
	}
	return n, nil
}

// integer is a whole number, kept as it is.
func integer(key string, least, most int64, at func(*Config) *int64) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			n, err := readNumber(key, v, least*PPM, most*PPM)
			if err != nil {
				return err
			}
			if n%PPM != 0 {
				return refuse(key, "must be a whole number, not %s", v)
			}
			*at(c) = n / PPM
			return nil
		},
		write: func(c *Config, dst []byte) []byte { return appendDecimal(dst, *at(c)*PPM) },
	}
}

// label is a short printable text that the model only hands on.
func label(key string, at func(*Config) *string) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			s, ok := readText(v)
			unprintable := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
			if !ok || s == "" || utf8.RuneCountInString(s) > maxTextRunes || unprintable {
				return refuse(key, "must be a printable text of 1 to %d characters, not %s", maxTextRunes, excerpt(v))
			}
			*at(c) = s
			return nil
		},
		write: func(c *Config, dst []byte) []byte { return appendText(dst, *at(c)) },
	}
}

// choice is one of a few words.
func choice[T ~string](key string, at func(*Config) *T, words ...T) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			s, ok := readText(v)
			for _, w := range words {
				if ok && s == string(w) {
					*at(c) = w
					return nil
				}
			}
			return refuse(key, "must be one of %q, not %s", words, excerpt(v))
		},
		write: func(c *Config, dst []byte) []byte { return appendText(dst, string(*at(c))) },
	}
}

// dayOrNull is a civil date YYYY-MM-DD, or null.
func dayOrNull(key string, at func(*Config) *optionalDay) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			if string(v) == "null" {
				*at(c) = optionalDay{}
				return nil
			}
			s, ok := readText(v)
			date, err := time.Parse(time.DateOnly, s)
			if !ok || err != nil {
				return refuse(key, "must be a date YYYY-MM-DD or null, not %s", excerpt(v))
			}
			*at(c) = optionalDay{day: int32(date.Unix() / secondsPerDay), set: true}
			return nil
		},
		write: func(c *Config, dst []byte) []byte {
			if !at(c).set {
				return append(dst, "null"...)
			}
			date := time.Unix(int64(at(c).day)*secondsPerDay, 0).UTC()
			return appendText(dst, date.Format(time.DateOnly))
		},
	}
}

const secondsPerDay = 24 * 60 * 60
