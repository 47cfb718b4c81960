package gateway

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/transaction"
	"sluice/internal/upload"
)

const (
	bulkPath = transactionsPath + "/jobs"
	// maxBulkBytes bounds what opens a job: three settings, and a few words.
	maxBulkBytes = 4 * maxConfigBytes
	// What a bulk job is of, as the system before would have it.
	bulkObject, bulkOperation = "FinancialTransaction", "pipeline"
	bulkCSV, bulkJSON         = "csv", "json"
)

// batchHeader begins a file that has come in batches of JSON.
var batchHeader = transaction.NumberedHeader("batch")

func (g *Gateway) mountBulk(e *echo.Echo) {
	e.POST(bulkPath, g.door(openBulk, maxBulkBytes))
	e.PUT(bulkPath+"/:id/upload", g.door(g.batch(uploadBatch), g.cfg.MaxBatchBytes))
	e.PATCH(bulkPath+"/:id/complete", g.door(completeBulk, maxBulkBytes))
}

// openBulk creates a job whose batches are to come.
func openBulk(r *request) error {
	d, contentType, err := readBulk(r)
	if err != nil {
		return err
	}
	asked := idempotency.Fingerprint(r.route, contentType, d.CreditConfig, d.AggregateConfig, d.ParseConfig)
	if r.repeats() {
		return r.again(asked)
	}
	var header []byte
	if contentType == bulkJSON {
		header = []byte(batchHeader)
	}
	return r.settle(asked, func(now upload.Batched) (int, any) {
		return http.StatusCreated, bulkOpenJSON{
			JobID: now.ID, Object: bulkObject, Operation: bulkOperation, State: job.Open,
			UploadURL: r.g.cfg.PublicURL + bulkPath + "/" + now.ID + "/upload/", StatusURL: r.g.jobURL(now.ID) + "/status/",
		}
	}, func(also upload.Also) error {
		_, err := r.g.cfg.Uploads.OpenBatched(r.ctx, d, contentType, header, also)
		return err
	})
}

// readBulk reads what a job is to be of.
func readBulk(r *request) (d job.Draft, contentType string, err error) {
	d = job.Draft{ID: job.NewID(), Tenant: r.tenant, Channel: "bulk"}
	in, said := transaction.NewBody(r.body), map[string]string{}
	for {
		key, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return d, "", err
		}
		if err := bulkMember(&d, in, said, key); err != nil {
			return d, "", err
		}
	}
	switch contentType = said["content_type"]; {
	case said["object"] != bulkObject:
		return d, "", badField("object", "must be "+bulkObject)
	case said["operation"] != bulkOperation:
		return d, "", badField("operation", "must be "+bulkOperation)
	case contentType != bulkCSV && contentType != bulkJSON:
		return d, "", badField("content_type", "must be csv or json")
	}
	return d, contentType, checkConfigs(d)
}

// bulkMember reads one member of that.
func bulkMember(d *job.Draft, in *transaction.Body, said map[string]string, key string) (err error) {
	_, twice := said[key]
	switch {
	case twice:
		err = badField(key, "must be given once")
	case key == "object", key == "operation", key == "content_type":
		said[key], err = readText(key, in)
	case slices.Contains(configKeys, key):
		said[key] = ""
		err = readConfig(d, key, in)
	default:
		err = in.Skip()
	}
	return err
}

// uploadBatch takes one batch of a job's.
func uploadBatch(b *batching) error {
	j, now, err := b.bulkJob()
	if err != nil {
		return err
	}
	if encoding := b.c.Request().Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "A batch must come without Content-Encoding.")
	}
	number, err := b.number(j.ID)
	if err != nil {
		return err
	}
	whole := sha256.New()
	batch := upload.Batch{Job: j.ID, Number: number, Header: []byte(batchHeader)}
	src := bufio.NewReader(io.TeeReader(b.body, whole))
	if now.ContentType == bulkCSV {
		batch.Header, batch.Records, err = b.storeTable(src)
	} else {
		batch.Records, err = b.storeRows(src, number)
	}
	if err != nil {
		return err
	}
	asked := idempotency.Fingerprint(b.route, b.c.QueryParam("batch_number"), string(whole.Sum(nil)))
	return b.accept(batch, asked, func(now upload.Batched) (int, any) {
		return http.StatusOK, batchJSON{
			JobID: j.ID, BytesUploaded: b.body.size, Records: batch.Records, TotalRecords: now.Records, Number: number, State: stateAfter(j, now),
		}
	})
}

// bulkJob returns the job that the path names, and how its batches stand.
func (r *request) bulkJob() (job.Job, upload.Batched, error) {
	id := r.c.Param("id")
	now, err := r.g.cfg.Uploads.BatchedOf(r.ctx, r.tenant, id, "")
	if err != nil {
		return job.Job{}, now, err
	}
	if now.Session != "" {
		return job.Job{}, now, job.ErrNotFound // its chunks come by their own door
	}
	j, err := r.g.cfg.Jobs.Get(r.ctx, r.tenant, id)
	return j, now, err
}

// stateAfter is the state of a job that was read before, after its batches have come to stand as now.
func stateAfter(before job.Job, now upload.Batched) job.State {
	if before.State == job.Open && now.Complete {
		return job.UploadComplete
	}
	return before.State
}

// number returns the batch's, or takes one for a batch that has none. Of a repeat it is known.
func (b *batching) number(id string) (int, error) {
	text := b.c.QueryParam("batch_number")
	if text != "" {
		return batchNumber("batch_number", text)
	}
	if b.repeats() {
		return 0, nil
	}
	return b.g.cfg.Uploads.TakeNumber(b.ctx, b.tenant, id)
}

// storeTable stores a batch of CSV without its header, which it returns.
func (b *batching) storeTable(src *bufio.Reader) (header []byte, records int64, err error) {
	t, err := newTable(src)
	if err == nil {
		err = b.store("", t)
	}
	if errors.Is(err, errTable) {
		err = badField("body", err.Error()).typed("bad_csv")
	}
	if err != nil {
		return nil, 0, err
	}
	return t.header, t.records, nil
}

// storeRows stores a batch of JSON, an array or a transaction a line.
func (b *batching) storeRows(src *bufio.Reader, number int) (int64, error) {
	read := transaction.NewLines
	if head, _ := src.Peek(64); strings.HasPrefix(strings.TrimLeft(string(head), " \t\r\n"), "[") { // an error is met again by the next read
		read = transaction.NewArray
	}
	rows := read(src, 0).Numbered(number)
	err := b.store("", rows)
	return rows.Count(), err
}

// completeBulk says that all batches of a job have come.
func completeBulk(r *request) error {
	if _, err := io.Copy(io.Discard, r.body); err != nil {
		return err
	}
	j, _, err := r.bulkJob()
	if err != nil {
		return err
	}
	asked := idempotency.Fingerprint(r.route)
	if r.repeats() {
		return r.again(asked)
	}
	rate := r.g.rate(r.ctx, r.tenant)
	return r.settle(asked, func(now upload.Batched) (int, any) {
		return http.StatusOK, bulkCompleteJSON{
			JobID: j.ID, State: stateAfter(j, now), TotalRecords: now.Records, TotalBytes: now.SizeBytes, Estimated: lasting(now.SizeBytes, rate),
		}
	}, func(also upload.Also) error {
		_, err := r.g.cfg.Uploads.Complete(r.ctx, r.tenant, j.ID, also)
		return err
	})
}

type bulkOpenJSON struct {
	JobID     string    `json:"job_id"`
	Object    string    `json:"object"`
	Operation string    `json:"operation"`
	State     job.State `json:"state"`
	UploadURL string    `json:"upload_url"`
	StatusURL string    `json:"status_url"`
}

type batchJSON struct {
	JobID         string    `json:"job_id"`
	BytesUploaded int64     `json:"bytes_uploaded"`
	Records       int64     `json:"records_count"`
	TotalRecords  int64     `json:"total_records"`
	Number        int       `json:"batch_number"`
	State         job.State `json:"state"`
}

type bulkCompleteJSON struct {
	JobID        string    `json:"job_id"`
	State        job.State `json:"state"`
	TotalRecords int64     `json:"total_records"`
	TotalBytes   int64     `json:"total_bytes"`
	Estimated    string    `json:"estimated_duration"`
}
