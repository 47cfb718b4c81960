package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/worker"
)

// importedStatus is what is kept as the status of an import's answer, which is its
// job's id: HTTP's for something created.
const importedStatus = 201

// importKey is the claim to --idempotency-key while its source is imported. Without
// the flag it has no claim and does nothing.
type importKey struct {
	claim  *idempotency.Claim
	digest hash.Hash // of the source: SHA-256
}

// key claims --idempotency-key.
func (im *importing) key(ctx context.Context) (*importKey, error) {
	if im.cmd.IdempotencyKey == "" {
		return &importKey{}, nil
	}
	claim, err := im.stack.keys.Claim(ctx, im.cmd.Tenant, im.cmd.IdempotencyKey)
	if errors.Is(err, idempotency.ErrBusy) {
		return nil, fmt.Errorf("--idempotency-key is in use: an import or request with it is under way, or was killed within the last %v (SLUICE_STREAM_EXPIRY)", im.cmd.StreamExpiry)
	}
	return &importKey{claim: claim, digest: sha256.New()}, err
}

func (k *importKey) release(ctx context.Context) {
	if k.claim != nil {
		k.claim.Release(ctx)
	}
}

// through has what is read digested where that is needed.
func (k *importKey) through(r io.Reader) io.Reader {
	if k.claim == nil {
		return r
	}
	return io.TeeReader(r, k.digest)
}

// keep is worker.Import.Also: the key stands for this job from the moment that it is visible.
func (k *importKey) keep(ctx context.Context, tx pgx.Tx, d job.Draft, done worker.Imported) error {
	if k.claim == nil {
		return nil
	}
	answer := idempotency.Answer{Fingerprint: k.fingerprint(d, done.SizeBytes), JobID: done.JobID, Status: importedStatus, Body: done.JobID}
	err := k.claim.Keep(ctx, answer)(tx)
	if errors.Is(err, idempotency.ErrBusy) {
		return errors.New("--idempotency-key was lost to another import or request, for this one was stopped for too long")
	}
	return err
}

// first returns the job that the key stands for, "" where it is free. The source is
// read to its end, for only the same may be asked for again.
func (k *importKey) first(d job.Draft, source io.Reader) (id string, err error) {
	if k.claim == nil || k.claim.First == nil {
		return "", nil
	}
	size, err := io.Copy(io.Discard, k.through(source))
	if err != nil {
		return "", fmt.Errorf("read source: %w", err)
	}
	if k.fingerprint(d, size) != k.claim.First.Fingerprint {
		return "", errors.New("--idempotency-key was used for other content or settings; use a new one for each import")
	}
	return k.claim.First.JobID, nil
}

// fingerprint tells imports apart, and from requests.
func (k *importKey) fingerprint(d job.Draft, sizeBytes int64) [32]byte {
	return idempotency.Fingerprint("sluice import", d.Filename, d.CreditConfig, d.AggregateConfig, d.ParseConfig, string(d.SHA256),
		strconv.FormatInt(sizeBytes, 10), string(k.digest.Sum(nil)))
}
