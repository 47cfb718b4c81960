package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/internal/upload"
)

// transactionsPath is where the doors beside tus are.
const transactionsPath = "/api/financial-transactions"

// mountDoors adds the doors beside tus.
func (g *Gateway) mountDoors(e *echo.Echo) {
	e.POST(transactionsPath+"/upload-file", g.door(g.take("upload-file", uploadFile), g.cfg.MaxUploadBytes))
	e.POST(transactionsPath+"/stream-upload", g.door(g.take("stream-upload", streamUpload), g.cfg.MaxUploadBytes))
	e.POST(transactionsPath+"/process-transactions", g.door(g.take("process-transactions", processTransactions), g.cfg.MaxJSONBytes))
	g.mountChunked(e)
	g.mountBulk(e)
}

// taking is one request that brings a whole file. Its reader calls store once
// with the bytes, and sets of draft what the request says beside them, before or
// after.
type taking struct {
	*request

	draft  job.Draft
	given  map[string]bool // settings that have come
	stored bool            // store was called
	intake *upload.Intake  // nil before, and where the first answer is given again
	size   int64           // of the bytes
	digest hash.Hash       // of them; nil without an Idempotency-Key
}

// take makes one job of what read takes from the request.
func (g *Gateway) take(channel string, read func(*taking) error) func(*request) error {
	return func(r *request) error {
		t := &taking{request: r, draft: job.Draft{Tenant: r.tenant, Channel: channel}, given: map[string]bool{}}
		if r.claim != nil {
			t.digest = sha256.New()
		}
		taken := false
		var err error
		defer func() { // by a panic too
			if t.intake != nil && !taken {
				t.intake.Abort(t.ctx, t.explain(err).Detail)
			}
		}()
		if err = read(t); err == nil {
			err = t.check()
		}
		if err == nil && t.repeats() {
			return t.again(t.fingerprint())
		}
		if err == nil {
			err = t.finish()
		}
		taken = err == nil
		return err
	}
}

// set takes over one of the settings that may stand beside a file. Other names
// mean nothing to it.
func (t *taking) set(name, value string) error {
	if !utf8.ValidString(value) || strings.Contains(value, "\x00") {
		return badField(name, "must be UTF-8 text")
	}
	if err := once(t.given, name); err != nil {
		return err
	}
	d := &t.draft
	switch name {
	case "filename":
		d.Filename = path.Base(value)
		return checkName(d.Filename)
	case "sha256":
		digest, err := hex.DecodeString(value)
		if err != nil || len(digest) != sha256.Size {
			return badField(name, "must be the 64 hexadecimal digits of the file's SHA-256")
		}
		d.SHA256 = digest
	default:
		setConfig(d, name, value)
	}
	return nil
}

// setConfig takes over a configuration. JSON's null is none.
func setConfig(d *job.Draft, name, value string) {
	if strings.TrimSpace(value) == "null" {
		value = ""
	}
	switch name {
	case pipeline.KeyCredit:
		d.CreditConfig = value
	case pipeline.KeyAggregate:
		d.AggregateConfig = value
	case pipeline.KeyParse:
		d.ParseConfig = value
	}
}

// checkConfigs is a 400 that names the setting that cannot be used.
func checkConfigs(d job.Draft) error {
	_, err := pipeline.ParseSettings(d.CreditConfig, d.AggregateConfig, d.ParseConfig)
	if setting, ok := errors.AsType[*pipeline.SettingError](err); ok {
		return badSetting(setting)
	}
	return err
}

// check is done when all of the request was read.
func (t *taking) check() error {
	if !t.stored {
		return errors.New("no file was stored") // read's fault
	}
	return checkConfigs(t.draft)
}

// store stores the file's bytes. Where the first answer is given again it only
// looks whether they are the same.
func (t *taking) store(src io.Reader) (err error) {
	if err := checkConfigs(t.draft); err != nil { // what is known is checked before a byte is stored
		return err
	}
	t.stored = true
	if t.digest != nil {
		src = io.TeeReader(src, t.digest)
	}
	if t.repeats() {
		t.size, err = io.Copy(io.Discard, src)
		return err
	}
	t.draft.ID = job.NewID()
	if t.intake, err = t.g.cfg.Uploads.Begin(t.ctx, t.draft); err != nil {
		return err
	}
	err = t.intake.Write(t.ctx, src)
	t.size = t.intake.SizeBytes()
	return err
}

func (t *taking) fingerprint() [32]byte {
	d := t.draft
	return idempotency.Fingerprint(t.route, d.Filename, d.CreditConfig, d.AggregateConfig, d.ParseConfig, string(d.SHA256), decimal(t.size), string(t.digest.Sum(nil)))
}

// finish enqueues the job and answers.
func (t *taking) finish() error {
	body, err := encodeJSON(t.g.accepted(t.ctx, t.draft, t.size))
	if err != nil {
		return err
	}
	var keep idempotency.Step
	if t.claim != nil {
		keep = t.keep(t.fingerprint(), t.draft.ID, http.StatusAccepted, body)
	}
	if err := t.intake.Finish(t.ctx, &t.draft, keep); err != nil {
		return err
	}
	return writeBody(t.c, http.StatusAccepted, body)
}

// acceptedJSON is what a door answers that has made a job.
type acceptedJSON struct {
	jobLinks
	Estimated string `json:"estimated_duration"`
	Message   string `json:"message"`
}

// jobLinks are where a job is followed.
type jobLinks struct {
	JobID     string `json:"job_id"`
	StatusURL string `json:"status_url"`
	OffersURL string `json:"offers_url"`
	EventsURL string `json:"events_url"`
}
