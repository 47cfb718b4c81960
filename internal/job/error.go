package job

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Sentinels of this package, to be told apart by errors.Is.
var (
	// ErrNotFound is returned for an id that does not exist or is another
	// tenant's: the two are not to be told apart.
	ErrNotFound = errors.New("job not found")
	// ErrStep is returned for a step that the table of steps does not allow.
	ErrStep = errors.New("step not allowed")
	// ErrLostLease is returned to a worker that does not hold the job (any
	// more). Nothing was changed; the worker drops what it did.
	ErrLostLease = errors.New("lease lost")
	// ErrNoSource is returned for a retry of an import whose file was not kept.
	ErrNoSource = errors.New("the file was not kept")
	// ErrWebhook is ErrNotFound of a webhook, or of a delivery of it.
	ErrWebhook = errors.New("webhook not found")
	// ErrWebhookLimit is returned for one webhook more than a tenant may have.
	ErrWebhookLimit = errors.New("too many webhooks")
	// ErrNotComplete is returned by the readers of offers until the job is
	// JobComplete.
	ErrNotComplete = errors.New("job not complete")
	// ErrErased is returned for a tenant whose erasure has begun: nothing new of it
	// is taken. See IsErased.
	ErrErased = errors.New("the tenant is erased")
)

// Error is why a job ended without offers, in words for its user. It alone
// crosses the HTTP edge.
type Error struct {
	Code    string // stable and lower case, such as "missing_column"
	Message string // one sentence that a user can act on
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// sqlErased is the SQLSTATE of migrations' refuse_erased.
const sqlErased = "SL002"

// IsErased tells whether err is ErrErased, or what Postgres says in its stead,
// whichever store asked.
func IsErased(err error) bool {
	said, ok := errors.AsType[*pgconn.PgError](err)
	return ok && said.Code == sqlErased || errors.Is(err, ErrErased)
}
