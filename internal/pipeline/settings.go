package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/credit"
	"sluice/parser"
)

// Keys of the three settings, as doors and upload metadata name them.
const (
	KeyCredit    = "credit_model_config"
	KeyAggregate = "aggregate_config"
	KeyParse     = "parse_config"
)

// SettingError says which setting is wrong, and why.
type SettingError struct {
	Key    string // KeyCredit, KeyAggregate or KeyParse
	Field  string // path within it, such as "columns.date"; "" when all of it is wrong
	Detail string
}

func (e *SettingError) Error() string {
	if e.Field == "" {
		return e.Key + ": " + e.Detail
	}
	return e.Key + ": " + e.Field + ": " + e.Detail
}

// Settings say how a file is read, summed and scored. ParseSettings makes
// them; the zero Settings is of no use. They do not change, and goroutines may
// share them.
type Settings struct {
	Credit    credit.Config
	Aggregate AggregateConfig
	Parse     parser.Config // CurrencyExponent and NoAccount follow the other two
}

// AggregateConfig is aggregate_config, decoded.
type AggregateConfig struct {
	GroupBy credit.GroupBy
	// RangeDays is the number of days, as_of the last of them, to which
	// aggregates and the model are limited; 0 is no limit.
	RangeDays int
}

// ParseSettings reads the JSON texts of a job; an empty one is all defaults.
// What cannot be used is a *SettingError that names it.
func ParseSettings(creditJSON, aggregateJSON, parseJSON string) (s Settings, err error) {
	if s.Credit, err = credit.ParseConfig([]byte(creditJSON)); err != nil {
		return Settings{}, blame(KeyCredit, err)
	}
	if s.Aggregate, err = parseAggregate(aggregateJSON); err != nil {
		return Settings{}, blame(KeyAggregate, err)
	}
	if s.Parse, err = parser.ParseConfig([]byte(parseJSON)); err != nil {
		return Settings{}, blame(KeyParse, err)
	}
	if _, _, ok := lookup(s.Parse.Encoding); !ok {
		return Settings{}, &SettingError{KeyParse, "encoding", fmt.Sprintf("%.40q is not a known encoding", s.Parse.Encoding)}
	}
	s.Parse.CurrencyExponent = s.Credit.Exponent()
	s.Parse.NoAccount = !s.Aggregate.GroupBy.HasAccount()
	return s, nil
}

// blame puts the errors of the packages below into one form.
func blame(key string, err error) error {
	e := &SettingError{Key: key, Detail: err.Error()}
	if c := (*credit.ConfigError)(nil); errors.As(err, &c) {
		e.Field, e.Detail = c.Key, c.Detail
	}
	if c := (*parser.ConfigError)(nil); errors.As(err, &c) {
		e.Field, e.Detail = c.Field, c.Detail
	}
	if c := (*SettingError)(nil); errors.As(err, &c) {
		e.Field, e.Detail = c.Field, c.Detail
	}
	return e
}

func parseAggregate(text string) (c AggregateConfig, err error) {
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil || members == nil {
		return c, &SettingError{Detail: "must be a JSON object"}
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		value := members[key]
		switch {
		case key != "group_by" && key != "date_range":
			return c, &SettingError{Field: key, Detail: "is not a setting"}
		case string(value) == "null":
		case key == "group_by":
			c.GroupBy, err = parseGroupBy(value)
		case key == "date_range":
			c.RangeDays, err = parseDateRange(value)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// parseGroupBy takes a list, or a single name as the old system did.
func parseGroupBy(value json.RawMessage) (credit.GroupBy, error) {
	var members []string
	var one string
	if json.Unmarshal(value, &one) == nil {
		members = []string{one}
	} else if json.Unmarshal(value, &members) != nil {
		return 0, &SettingError{Field: "group_by", Detail: "must be a list of account_id and date"}
	}
	return credit.ParseGroupBy(members)
}

// maxRangeDays is a hundred years.
const maxRangeDays = 36_525

func parseDateRange(value json.RawMessage) (days int, err error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		digits, last := strings.CutPrefix(text, "last_")
		digits, ends := strings.CutSuffix(digits, "_days")
		n, err := strconv.ParseUint(digits, 10, 32)
		if last && ends && err == nil && n >= 1 && n <= maxRangeDays {
			return int(n), nil
		}
	}
	return 0, &SettingError{Field: "date_range", Detail: `must be "last_N_days", such as "last_30_days"`}
}
