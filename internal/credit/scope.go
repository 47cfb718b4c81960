package credit

// GroupBy says which daily aggregates a job keeps and which series it scores.
// The zero value is the default.
type GroupBy uint8

// The sets that a job's group_by may be.
const (
	ByAccountAndDate GroupBy = iota // each account, aggregates per account and day
	ByAccount                       // each account, aggregates over the whole file
	ByDate                          // all accounts pooled, aggregates per day
)

// ParseGroupBy reads group_by, a set: order and repetition mean nothing. An
// empty one, or a member other than account_id and date, is a *ConfigError
// with the key group_by.
func ParseGroupBy(members []string) (GroupBy, error) {
	var account, date bool
	for _, m := range members {
		switch m {
		case "account_id":
			account = true
		case "date":
			date = true
		default:
			return 0, refuse("group_by", "must hold account_id or date or both, not %q", m)
		}
	}
	switch {
	case account && date:
		return ByAccountAndDate, nil
	case account:
		return ByAccount, nil
	case date:
		return ByDate, nil
	default:
		return 0, refuse("group_by", "must hold account_id or date or both")
	}
}

// HasAccount reports whether accounts are scored one by one; without it the
// file is pooled into one series, and needs no account column.
func (g GroupBy) HasAccount() bool { return g != ByDate }

// HasDate reports whether aggregates are kept per day.
func (g GroupBy) HasDate() bool { return g != ByAccount }

// Scope is the setting offer_scope.
type Scope string

// The values of offer_scope.
const (
	ScopeAuto   Scope = "auto"   // the default: ScopeGroup when pooled, else ScopeEntity
	ScopeEntity Scope = "entity" // one decision per series, at the job's as_of
	ScopeGroup  Scope = "group"  // one per series and date, scored as of that date
)

// PerDate reports whether a job grouped by g takes a decision for each date of
// a series (Model.DecideEach) instead of one per series (Model.Decide).
func (c Config) PerDate(g GroupBy) bool {
	switch c.offerScope {
	case ScopeEntity:
		return false
	case ScopeGroup:
		return g.HasDate()
	default:
		return g == ByDate
	}
}
