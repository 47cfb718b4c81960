package gateway

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/transaction"
	"sluice/internal/upload"
)

const (
	chunkedPath = transactionsPath + "/upload-chunked"
	// maxChunkRows bounds the transactions of one chunk.
	maxChunkRows = 10_000
	// maxHeldBytes bounds the rows of a chunk whose number comes behind them: a
	// row begins with it.
	maxHeldBytes = 2 << 20
	// maxSessionBytes bounds a session_id.
	maxSessionBytes = 255
)

// chunkHeader begins a file that has come in chunks.
var chunkHeader = transaction.NumberedHeader("chunk")

func (g *Gateway) mountChunked(e *echo.Echo) {
	e.POST(chunkedPath, g.door(g.batch(uploadChunk), g.cfg.MaxBatchBytes))
	get(e, chunkedPath+"/:session_id", g.sessionState)
}

// chunk is the body of upload-chunked.
type chunk struct {
	*batching

	session       string
	number, total int
	records       int64
	stored        bool
	held          *transaction.Held // until number is known
}

// uploadChunk takes one chunk of a session's transactions.
func uploadChunk(b *batching) error {
	b.draft.Channel = "upload-chunked"
	c := &chunk{batching: b}
	if err := c.read(); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.held != nil {
		if err := c.keepRows(c.held.Numbered(c.number)); err != nil {
			return err
		}
	}
	d := b.draft
	asked := idempotency.Fingerprint(b.route, c.session, strconv.Itoa(c.number), strconv.Itoa(c.total),
		d.CreditConfig, d.AggregateConfig, d.ParseConfig, decimal(c.records), string(b.digest.Sum(nil)))
	rate := b.g.rate(b.ctx, b.tenant)
	if c.session == "" {
		c.session = rand.Text()
	}
	return b.accept(upload.Batch{
		Session: c.session, Number: c.number, Total: c.total, Records: c.records, Header: []byte(chunkHeader),
	}, asked, func(now upload.Batched) (int, any) { return c.tell(now, rate) })
}

func (c *chunk) read() error {
	in, seen := transaction.NewBody(c.body), map[string]bool{}
	for {
		key, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.member(in, seen, key)
		}
		switch {
		case errors.Is(err, transaction.ErrTooMany):
			return badField("chunk_data", "has more than "+strconv.Itoa(maxChunkRows)+" transactions; send them in more chunks").typed("too_many_rows")
		case errors.Is(err, transaction.ErrTooLarge):
			return badField("chunk_number", "must come before chunk_data, whose rows are larger than 2 MiB")
		case err != nil:
			return err
		}
	}
}

var chunkKeys = []string{"chunk_data", "chunk_number", "total_chunks", "session_id"}

func (c *chunk) member(in *transaction.Body, seen map[string]bool, key string) (err error) {
	if slices.Contains(chunkKeys, key) || slices.Contains(configKeys, key) {
		err = once(seen, key)
	}
	switch {
	case err != nil:
	case key == "chunk_data":
		err = c.rows(in.Rows(maxChunkRows))
	case key == "chunk_number":
		c.number, err = readNumber(key, in)
	case key == "total_chunks":
		c.total, err = readNumber(key, in)
	case key == "session_id":
		c.session, err = readText(key, in)
	case slices.Contains(configKeys, key):
		err = readConfig(&c.draft, key, in)
	default:
		err = in.Skip()
	}
	return err
}

// rows stores the transactions, or holds them until the chunk's number is known.
func (c *chunk) rows(rows *transaction.Rows) (err error) {
	if c.number == 0 {
		c.held, err = rows.Hold(maxHeldBytes)
	} else {
		err = c.keepRows(rows.Numbered(c.number))
	}
	c.records, c.stored = rows.Count(), true
	return err
}

// keepRows stores rows. Those of the first chunk begin the file.
func (c *chunk) keepRows(rows io.Reader) error {
	header := ""
	if c.number == 1 {
		header = chunkHeader
	}
	return c.store(header, rows)
}

func (c *chunk) check() error {
	switch {
	case !c.stored:
		return badField("chunk_data", "is missing")
	case c.number == 0:
		return badField("chunk_number", "is missing")
	case c.total == 0:
		return badField("total_chunks", "is missing")
	case c.number > c.total:
		return badField("chunk_number", "is larger than total_chunks")
	case len(c.session) > maxSessionBytes, !utf8.ValidString(c.session), strings.ContainsFunc(c.session, func(r rune) bool { return unicode.IsControl(r) || r == '/' }):
		return badField("session_id", "must be at most 255 bytes of text, without slashes and control characters")
	}
	return checkConfigs(c.draft)
}

// tell answers a chunk that was accepted.
func (c *chunk) tell(now upload.Batched, rate float64) (int, any) {
	if !now.Complete {
		return http.StatusAccepted, chunkJSON{
			SessionID: now.Session, Received: c.number, Total: now.Total, Progress: progress(now), Next: now.Missing,
			Message: "Chunk " + strconv.Itoa(c.number) + " is stored; " + strconv.Itoa(now.Total-now.Received) + " more to come.",
		}
	}
	return http.StatusOK, chunkedJSON{
		SessionID: now.Session, jobLinks: c.g.linksTo(now.ID),
		Estimated: lasting(now.SizeBytes, rate), Records: now.Records, Message: "All chunks are stored and wait for a worker.",
	}
}

// progress is in percent, to a tenth below.
func progress(b upload.Batched) float64 { return float64(b.Received*1000/b.Total) / 10 }

// sessionState tells where a session stands, so that its client can go on.
func (g *Gateway) sessionState(c echo.Context) error {
	ctx := c.Request().Context()
	b, err := g.cfg.Uploads.BatchedOf(ctx, job.Tenant(ctx), "", c.Param("session_id"))
	if errors.Is(err, job.ErrNotFound) {
		return newProblem(http.StatusNotFound, "There is no such session: none of its chunks has come.")
	}
	if err != nil {
		return err
	}
	received, err := g.cfg.Uploads.Numbers(ctx, job.Tenant(ctx), b.ID)
	if err != nil {
		return err
	}
	answer := sessionStateJSON{SessionID: b.Session, Total: b.Total, Received: []int32{}, Missing: []int32{}, Progress: progress(b)}
	answer.Received = append(answer.Received, received...)
	for n := int32(1); int(n) <= b.Total; n++ {
		if _, ok := slices.BinarySearch(received, n); !ok {
			answer.Missing = append(answer.Missing, n)
		}
	}
	if b.Complete {
		answer.JobID = &b.ID
	}
	return writeJSON(c, answer)
}

// chunkJSON answers a chunk that was not the last to come.
type chunkJSON struct {
	SessionID string  `json:"session_id"`
	Received  int     `json:"chunk_received"`
	Total     int     `json:"total_chunks"`
	Progress  float64 `json:"progress"`
	Next      int     `json:"next_chunk"`
	Message   string  `json:"message"`
}

// chunkedJSON answers the last, and whatever is repeated then.
type chunkedJSON struct {
	SessionID string `json:"session_id"`
	jobLinks
	Estimated string `json:"estimated_duration"`
	Records   int64  `json:"total_transactions"`
	Message   string `json:"message"`
}

type sessionStateJSON struct {
	SessionID string  `json:"session_id"`
	Total     int     `json:"total_chunks"`
	Received  []int32 `json:"received"`
	Missing   []int32 `json:"missing"`
	Progress  float64 `json:"progress"`
	JobID     *string `json:"job_id"`
}
