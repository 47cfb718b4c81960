package upload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
)

// What a client is told beyond tusd's own errors. All are handler.Error, which carries its HTTP status.
var (
	// ErrGone is the answer for an upload that was terminated or has expired: 410.
	ErrGone error = handler.NewError("ERR_UPLOAD_GONE", "the upload was terminated or has expired", http.StatusGone)
	// ErrComplete is the answer to the termination of a finished upload, which is its job's now: 409.
	ErrComplete error = handler.NewError("ERR_UPLOAD_COMPLETE", "the upload is complete and belongs to its job", http.StatusConflict)
	// ErrUnavailable is the answer when Postgres or S3 did not do its part: 503. What was acknowledged is safe, and the
	// client may resume at the offset that HEAD tells.
	ErrUnavailable error = handler.NewError("ERR_UNAVAILABLE", "the upload could not be stored just now; resume it", http.StatusServiceUnavailable)
)

// errErased is the answer once the tenant's erasure has begun: 410, for nothing that a client could do later helps.
var errErased error = handler.NewError("ERR_TENANT_ERASED", "all that the tenant has is erased: nothing new of it is taken", http.StatusGone)

// errFenced means that another writer took the upload over. To the client it is a lock that somebody else holds.
var errFenced error = handler.ErrFileLocked

// LimitHeader tells a client which limit refused it, as "open_uploads; max=10": it reaches one that reads no body.
const LimitHeader = "Sluice-Limit"

// LimitError returns a job.LimitError as tusd passes it on: a handler.Error of 413, 429 or 507.
func LimitError(e *job.LimitError) error {
	status := http.StatusTooManyRequests
	switch e.Limit {
	case job.LimitUploadBytes:
		status = http.StatusRequestEntityTooLarge
	case job.LimitStoredBytes:
		status = http.StatusInsufficientStorage
	}
	told := handler.NewError("ERR_LIMIT_"+strings.ToUpper(string(e.Limit)), e.Error(), status)
	told.HTTPResponse.Header = handler.HTTPHeader{LimitHeader: fmt.Sprintf("%s; max=%d", e.Limit, e.Max)}
	if e.RetryAfter > 0 {
		told.HTTPResponse.Header["Retry-After"] = strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))
	}
	return told
}

// answer turns an error into what the client is told, and logs what it is not told.
func (s *Store) answer(ctx context.Context, doing, id string, err error) error {
	var told handler.Error
	var others *othersError
	refused, overLimit := job.AsLimit(err)
	switch {
	case err == nil:
		return nil
	case overLimit:
		return LimitError(refused)
	case job.IsErased(err):
		return errErased
	case errors.As(err, &others):
		return others.error
	case errors.As(err, &told):
		return told
	case errors.Is(err, job.ErrStep), errors.Is(err, job.ErrNotFound): // cancelled or deleted while bytes were arriving
		return ErrGone
	case errors.Is(err, context.Canceled): // the client has gone
		return ErrUnavailable
	}
	s.log.WarnContext(ctx, "upload not stored", "doing", doing, "upload_id", id, "err", err)
	return ErrUnavailable
}
