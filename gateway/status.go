package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/drop"
	"sluice/internal/job"
)

// statusJSON is what anyone is told of a job.
type statusJSON struct {
	JobID       string           `json:"job_id"`
	State       job.State        `json:"state"`
	Status      string           `json:"status"`
	Stage       job.Stage        `json:"stage"`
	Message     string           `json:"message"`
	Channel     string           `json:"channel"`
	Filename    string           `json:"filename"`
	Progress    progressJSON     `json:"progress"`
	Accepted    int64            `json:"rows_accepted"`
	Rejected    int64            `json:"rows_rejected"`
	ByReason    map[string]int64 `json:"rejects_by_reason"` // of the rejected; the words are the parser's
	CreatedAt   *time.Time       `json:"created_at"`
	UpdatedAt   *time.Time       `json:"updated_at"`
	CompletedAt *time.Time       `json:"completed_at"`
	Remaining   *int64           `json:"estimated_remaining_seconds"`
	Error       *string          `json:"error"`
	ErrorCode   *string          `json:"error_code"`
	CanRetry    bool             `json:"can_retry"`
	// The oldest job with the same content; null while that is not known, and for the oldest.
	DuplicateOf *string `json:"duplicate_of"`

	OffersURL     string `json:"offers_url"`
	AggregatesURL string `json:"aggregates_url"`
	RejectsURL    string `json:"rejects_url"`
	EventsURL     string `json:"events_url"`
}

// progressJSON counts bytes of the upload, then bytes and records read by the
// worker. Percentage is of the upload while the state is OPEN, and of the
// work on the file from then on.
type progressJSON struct {
	BytesReceived  int64       `json:"bytes_received"`
	BytesTotal     *int64      `json:"bytes_total"` // null while the length is deferred
	ProcessedBytes int64       `json:"processed_bytes"`
	ProcessedItems int64       `json:"processed_items"`
	TotalItems     *int64      `json:"total_items"` // null until the file was read to its end
	Percentage     json.Number `json:"percentage"`
}

// status answers with one job.
func (g *Gateway) status(c echo.Context) error {
	j, err := g.job(c)
	if err != nil {
		return err
	}
	return writeJSON(c, g.statusOf(j))
}

// job returns the job that the path names, if it is the caller's.
func (g *Gateway) job(c echo.Context) (job.Job, error) {
	ctx, id := c.Request().Context(), c.Param("id")
	if !job.ValidID(id) {
		return job.Job{}, job.ErrNotFound
	}
	return g.cfg.Jobs.Get(ctx, job.Tenant(ctx), id)
}

// completeJob returns the job that the path names once it has a result; until
// then it is a 409.
func (g *Gateway) completeJob(c echo.Context) (job.Job, error) {
	j, err := g.job(c)
	if err == nil && (j.State != job.JobComplete || j.Result == nil) {
		err = notComplete(j)
	}
	return j, err
}

func notComplete(j job.Job) *problem {
	if j.State == job.Failed || j.State == job.Aborted { // no use to wait
		return newProblem(http.StatusConflict, "The job has "+j.State.Status()+": "+message(j)).typed("job_" + j.State.Status())
	}
	return newProblem(http.StatusConflict, "The job is "+string(j.State)+" and not yet JOB_COMPLETE. "+message(j)).typed("job_not_complete")
}

func (g *Gateway) statusOf(j job.Job) statusJSON {
	base := g.jobURL(j.ID)
	s := statusJSON{
		JobID: j.ID, State: j.State, Status: j.State.Status(), Stage: j.Stage, Message: message(j),
		Channel: j.Channel, Filename: j.Filename, Progress: progressOf(j),
		Accepted: j.RowsAccepted, Rejected: j.RowsRejected, ByReason: j.RejectsByReason,
		CreatedAt: timestamp(j.CreatedAt), UpdatedAt: timestamp(j.UpdatedAt), CompletedAt: timestamp(j.CompletedAt),
		Remaining: remaining(j), CanRetry: j.CanRetry,
		OffersURL: base + "/offers/", AggregatesURL: base + "/aggregates/", RejectsURL: base + "/rejects/", EventsURL: base + "/events/",
	}
	if j.DuplicateOf != "" {
		s.DuplicateOf = &j.DuplicateOf
	}
	if j.Error != nil {
		s.Error, s.ErrorCode = &j.Error.Message, &j.Error.Code
	}
	return s
}

// message says in a sentence where the job stands.
func message(j job.Job) string {
	switch {
	case j.Error != nil:
		return j.Error.Message
	case j.State == job.Open && j.Channel == drop.Channel:
		return "The object waits until the one before it, by name, is done."
	case j.State == job.Open:
		return "The file is arriving."
	case j.State == job.UploadComplete && j.WaitReason != "":
		return waiting(j)
	case j.State == job.UploadComplete:
		return "The file is stored and waits for a worker."
	case j.Stage == job.Scoring:
		return "The accounts are being scored."
	case j.Stage == job.Persisting:
		return "The offers are being stored."
	case j.State == job.InProgress:
		return "The file is being read."
	default:
		return "The offers can be read."
	}
}

// waiting says why a job is not its turn's alone to wait for.
func waiting(j job.Job) string {
	text := "The file is stored and waits for a worker: " + j.WaitReason
	if !j.WaitUntil.IsZero() {
		text += ", at " + j.WaitUntil.Format("15:04:05 UTC")
	}
	return text + "."
}

func progressOf(j job.Job) progressJSON {
	p := progressJSON{BytesReceived: j.BytesReceived, ProcessedBytes: j.ProcessedBytes, ProcessedItems: j.RowsAccepted + j.RowsRejected}
	if j.BytesTotal >= 0 {
		p.BytesTotal = &j.BytesTotal
	}
	part, whole := j.ProcessedBytes, j.SizeBytes
	switch j.State {
	case job.Open:
		part, whole = j.BytesReceived, j.BytesTotal
	case job.JobComplete:
		part, whole = 1, 1
		p.TotalItems = &p.ProcessedItems
	}
	p.Percentage = percentage(part, whole)
	return p
}

// percentage is part of whole from 0 to 100, rounded down to a tenth, so that
// 100 means all. It is 0 of a whole that is unknown or nothing.
func percentage(part, whole int64) json.Number {
	if whole <= 0 {
		return "0"
	}
	tenths := part * 1000 / whole // no overflow below 9 PB
	return fraction(min(tenths, 1000) * 100_000)
}

// remaining extrapolates the rate of the running attempt, by the database's
// clock. It is nil where there is no rate yet, and once the file is read: how
// long scoring and storing last its bytes do not tell.
func remaining(j job.Job) *int64 {
	elapsed := j.UpdatedAt.Sub(j.StartedAt).Seconds()
	if j.State != job.InProgress || j.ProcessedBytes <= 0 || j.ProcessedBytes >= j.SizeBytes || elapsed <= 0 {
		return nil
	}
	left := j.SizeBytes - j.ProcessedBytes
	s := int64(math.Ceil(elapsed * float64(left) / float64(j.ProcessedBytes)))
	return &s
}
