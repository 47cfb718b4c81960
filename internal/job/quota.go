package job

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Everybody is the name under which SetLimits keeps the Quotas of tenants that have
// none of their own. It is no tenant's.
const Everybody = "*"

// Quotas bound what a tenant may send and store, over all gateways and doors. Postgres
// holds them when a transaction commits: see migrations. Nil: as Everybody has it, and
// for Everybody itself no limit. 0 is a limit like any other.
type Quotas struct {
	MaxUploadBytes *int64 // of one file
	MaxOpenUploads *int64 // uploads whose bytes are still arriving
	MaxJobs        *int64 // jobs that have not ended: open, queued and running
	MaxDayBytes    *int64 // bytes received in a day, UTC
	MaxStoredBytes *int64 // bytes of files that are kept; results are not counted
}

// Limit is the name of a limit, as problem documents and metrics have it.
type Limit string

// The limits of Quotas.
const (
	LimitUploadBytes Limit = "upload_bytes"
	LimitOpenUploads Limit = "open_uploads"
	LimitJobs        Limit = "jobs"
	LimitDayBytes    Limit = "day_bytes"
	LimitStoredBytes Limit = "stored_bytes"
)

// The limits of one gateway.
const (
	LimitTenantRequests  Limit = "tenant_requests"
	LimitTenantRate      Limit = "tenant_rate"
	LimitAddressRequests Limit = "address_requests"
	LimitAddressRate     Limit = "address_rate"
)

// LimitError is a refusal: a tenant, or an address, is at a limit. Nothing was changed.
type LimitError struct {
	Limit Limit
	Max   int64
	// RetryAfter is how long to wait, 0 where waiting does not help.
	RetryAfter time.Duration
}

// wordings say what each limit is of.
var wordings = map[Limit]string{
	LimitUploadBytes: "A file may have %d bytes, and this one has more.",
	LimitOpenUploads: "No more than %d uploads may be open at a time: finish or delete some.",
	LimitJobs:        "No more than %d jobs may be under way at a time: wait for some to end.",
	LimitDayBytes:    "No more than %d bytes may come in a day (UTC): go on tomorrow; what has arrived is kept.",
	LimitStoredBytes: "No more than %d bytes may be stored: delete jobs that are not needed.",

	LimitTenantRequests:  "No more than %d requests that bring bytes may be under way at a time: wait for some of them to be answered.",
	LimitTenantRate:      "No more than %d requests may begin in a second.",
	LimitAddressRequests: "No more than %d requests from one address may be under way at a time: wait for some of them to be answered.",
	LimitAddressRate:     "No more than %d requests from one address may begin in a second.",
}

// Error is a sentence for who was refused.
func (e *LimitError) Error() string { return fmt.Sprintf(wordings[e.Limit], e.Max) }

// sqlRefused is the SQLSTATE of migrations' refuse_over_limit.
const sqlRefused = "SL001"

// waits are how long who was refused is told to wait; a day's bytes last until its end.
var waits = map[Limit]time.Duration{LimitOpenUploads: 10 * time.Second, LimitJobs: 10 * time.Second, LimitStoredBytes: time.Minute}

// AsLimit finds the LimitError in err, or makes it of what Postgres said.
func AsLimit(err error) (*LimitError, bool) {
	if e, ok := errors.AsType[*LimitError](err); ok {
		return e, true
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || said.Code != sqlRefused {
		return nil, false
	}
	most, _ := strconv.ParseInt(said.Detail, 10, 64) // of a bigint
	e := &LimitError{Limit: Limit(said.ConstraintName), Max: most, RetryAfter: waits[Limit(said.ConstraintName)]}
	if e.Limit == LimitDayBytes {
		now := time.Now().UTC()
		e.RetryAfter = now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
	}
	return e, true
}
