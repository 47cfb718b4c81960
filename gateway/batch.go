package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"strconv"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/transaction"
	"sluice/internal/upload"
)

// batching is one request that brings a batch of a job's file.
type batching struct {
	*request

	draft  job.Draft // the tenant, and the settings that it says
	intake *upload.Intake
	digest hash.Hash // of the rows
}

// batch handles requests that bring a batch. What is not accepted leaves nothing.
func (g *Gateway) batch(handle func(*batching) error) func(*request) error {
	return func(r *request) error {
		b := &batching{request: r, draft: job.Draft{Tenant: r.tenant}, digest: sha256.New()}
		defer func() {
			if b.intake != nil {
				b.intake.Abort(r.ctx, "")
			}
		}()
		return handle(b)
	}
}

// store stores the rows of a batch, behind a header that is not part of its
// content. Of a repeat it takes the digest only.
func (b *batching) store(header string, rows io.Reader) (err error) {
	rows = io.TeeReader(rows, b.digest)
	if b.repeats() {
		_, err = io.Copy(io.Discard, rows)
		return err
	}
	if b.intake, err = b.g.cfg.Uploads.BeginBatch(b.ctx, b.tenant); err != nil {
		return err
	}
	return b.intake.Write(b.ctx, io.MultiReader(bytes.NewReader([]byte(header)), rows))
}

// accept adds what was stored to its job, and answers what tell says of that.
func (b *batching) accept(batch upload.Batch, asked [32]byte, tell func(upload.Batched) (status int, answer any)) error {
	if b.repeats() {
		return b.again(asked)
	}
	batch.Draft, batch.Digest = b.draft, [32]byte(b.digest.Sum(nil))
	return b.settle(asked, tell, func(also upload.Also) error {
		_, err := b.intake.Accept(b.ctx, batch, also)
		return err
	})
}

// settle does something to a batched job, keeps what is answered in the same
// transaction, and answers it.
func (r *request) settle(asked [32]byte, tell func(upload.Batched) (int, any), do func(upload.Also) error) error {
	var status int
	var body []byte
	var broken error // json's, of what is always encodable
	err := do(func(now upload.Batched) idempotency.Step {
		var answer any
		status, answer = tell(now)
		if body, broken = encodeJSON(answer); r.claim == nil {
			return nil
		}
		return r.keep(asked, now.ID, status, body)
	})
	if err = errors.Join(err, broken); err != nil {
		return err
	}
	return writeBody(r.c, status, body)
}

// once refuses a member of a body that has come already.
func once(seen map[string]bool, key string) error {
	if seen[key] {
		return badField(key, "must be given once")
	}
	seen[key] = true
	return nil
}

// readText reads a member that must be text, or null, which is "".
func readText(key string, in *transaction.Body) (string, error) {
	raw, err := textOf(key, in)
	if err != nil {
		return "", err
	}
	var text *string
	if json.Unmarshal([]byte(raw), &text) != nil {
		return "", badField(key, "must be text")
	}
	if text == nil {
		return "", nil
	}
	return *text, nil
}

// readNumber reads a member that must be a whole number from 1 to MaxBatches.
func readNumber(key string, in *transaction.Body) (int, error) {
	raw, err := textOf(key, in)
	if err != nil {
		return 0, err
	}
	return batchNumber(key, raw)
}

func batchNumber(key, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > upload.MaxBatches {
		return 0, badField(key, "must be a whole number from 1 to "+strconv.Itoa(upload.MaxBatches))
	}
	return n, nil
}

// readConfig reads a configuration, without the blanks in it: so that two batches
// that say the same say it alike.
func readConfig(d *job.Draft, key string, in *transaction.Body) error {
	raw, err := textOf(key, in)
	if err != nil {
		return err
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, []byte(raw)); err != nil {
		return badField(key, "is no JSON: "+err.Error())
	}
	setConfig(d, key, plain.String())
	return nil
}
