package job

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"sluice/internal/job/db"
)

const secondsPerDay = 24 * 60 * 60

// jobOf makes a Job of its row and its upload's. Uploads of other doors than tus
// have no row: then what was received is what the job says.
func jobOf(r db.ListJobsRow) Job {
	j := Job{
		Draft: Draft{
			ID: r.Job.ID, Tenant: r.Job.Tenant, Channel: r.Job.Channel, Filename: r.Job.Filename,
			CreditConfig: r.Job.CreditModelConfig, AggregateConfig: r.Job.AggregateConfig, ParseConfig: r.Job.ParseConfig,
			SHA256: r.Job.Sha256,
		},
		State: State(r.Job.State), Stage: Stage(deref(r.Job.Stage)), Version: r.Job.Version,
		SizeBytes: deref(r.Job.SizeBytes), CRC64: uint64(deref(r.Job.Crc64)), Digested: r.Job.Crc64 != nil, DuplicateOf: r.DuplicateOf, ReferenceDay: dayOf(r.Job.ReferenceDate),
		ProcessedBytes: r.Job.ProcessedBytes, RowsAccepted: r.Job.RowsAccepted, RowsRejected: r.Job.RowsRejected, RejectsByReason: r.Job.RejectsByReason,
		Fence: r.Job.Fence, Worker: r.Job.Worker, Attempts: int(r.Job.Attempts), LeaseExpiresAt: utc(r.Job.LeaseExpiresAt),
		Traceparent: r.Job.Traceparent,
		WaitReason:  r.Job.WaitReason, WaitUntil: utc(r.Job.WaitUntil), Deaths: int(r.Job.Deaths),
		CanRetry:  r.Job.CanRetry,
		CreatedAt: r.Job.CreatedAt.UTC(), UpdatedAt: r.Job.UpdatedAt.UTC(), StartedAt: utc(r.Job.StartedAt), CompletedAt: utc(r.Job.CompletedAt),
	}
	if r.Job.ErrorCode != nil {
		j.Error = &Error{Code: *r.Job.ErrorCode, Message: deref(r.Job.ErrorMessage)}
	}
	if r.Paused && j.State == UploadComplete && j.WaitReason == "" {
		j.WaitReason = pausedReason
	}
	j.BytesReceived, j.BytesTotal = received(r)
	return j
}

// received returns the bytes that have come and those that will, or -1.
func received(r db.ListJobsRow) (got, total int64) {
	size := r.Job.SizeBytes
	if r.OffsetBytes != nil {
		size = r.TotalBytes
		got = *r.OffsetBytes
	} else {
		got = deref(size)
	}
	if size == nil {
		return got, -1
	}
	return got, *size
}

func resultOf(r db.Result) *Result {
	return &Result{
		Engine: r.Engine, ModelVersion: r.ModelVersion, ConfigUsed: r.ConfigUsed, ConfigSHA256: r.ConfigSha256,
		AsOfDay: dayOf(r.AsOf), CurrencyExponent: int(r.CurrencyExponent), GroupBy: r.GroupBy,
		TransactionsProcessed: r.TransactionsProcessed, RowsRejected: r.RowsRejected, FutureRows: r.FutureRows,
		AggregatesCreated: r.AggregatesCreated,
		OffersGenerated:   r.OffersGenerated, Declined: r.Declined, Skipped: r.Skipped,
		Duration:   time.Duration(r.DurationMs) * time.Millisecond,
		Aggregates: Object{Key: r.AggregatesKey, ETag: r.AggregatesEtag, SizeBytes: r.AggregatesSizeBytes, CRC64: uint64(r.AggregatesCrc64)},
		Rejects:    Object{Key: r.RejectsKey, ETag: r.RejectsEtag, SizeBytes: r.RejectsSizeBytes, CRC64: uint64(r.RejectsCrc64)},
	}
}

// saveResult replaces the result of an earlier attempt, if there is one.
func saveResult(ctx context.Context, q *db.Queries, l *Lease, r Result) error {
	if err := q.DeleteResult(ctx, db.DeleteResultParams{JobID: l.JobID, Tenant: l.Tenant}); err != nil {
		return fmt.Errorf("delete result of job %s: %w", l.JobID, err)
	}
	err := q.InsertResult(ctx, db.InsertResultParams{
		JobID: l.JobID, Tenant: l.Tenant, Fence: l.Fence,
		Engine: r.Engine, ModelVersion: r.ModelVersion, ConfigUsed: r.ConfigUsed, ConfigSha256: r.ConfigSHA256,
		AsOf: date(r.AsOfDay), CurrencyExponent: int16(r.CurrencyExponent), GroupBy: r.GroupBy,
		TransactionsProcessed: r.TransactionsProcessed, RowsRejected: r.RowsRejected, FutureRows: r.FutureRows,
		AggregatesCreated: r.AggregatesCreated,
		OffersGenerated:   r.OffersGenerated, Declined: r.Declined, Skipped: r.Skipped,
		DurationMs:    r.Duration.Milliseconds(),
		AggregatesKey: r.Aggregates.Key, AggregatesEtag: r.Aggregates.ETag, AggregatesSizeBytes: r.Aggregates.SizeBytes, AggregatesCrc64: int64(r.Aggregates.CRC64),
		RejectsKey: r.Rejects.Key, RejectsEtag: r.Rejects.ETag, RejectsSizeBytes: r.Rejects.SizeBytes, RejectsCrc64: int64(r.Rejects.CRC64),
	})
	if err != nil {
		return fmt.Errorf("insert result of job %s: %w", l.JobID, err)
	}
	return nil
}

// date returns the date of a day number; NULL for NoDay.
func date(day int32) pgtype.Date {
	if day == NoDay {
		return pgtype.Date{}
	}
	return pgtype.Date{Time: time.Unix(int64(day)*secondsPerDay, 0).UTC(), Valid: true}
}

// dateOf returns the UTC date of a time.
func dateOf(t time.Time) pgtype.Date { return pgtype.Date{Time: t.UTC(), Valid: true} }

// dayOf returns the day number of a date; NoDay for NULL and for infinity.
func dayOf(d pgtype.Date) int32 {
	if !d.Valid || d.InfinityModifier != pgtype.Finite {
		return NoDay
	}
	return int32(d.Time.Unix() / secondsPerDay) // exact: dates are read as midnight UTC
}

// counted returns counts as they are stored: an object, {} where there are none.
func counted(counts map[string]int64) map[string]int64 {
	if counts == nil {
		return map[string]int64{} // nil would be NULL
	}
	return counts
}

// deref returns what p points to, or the zero value.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func utc(t *time.Time) time.Time { return deref(t).UTC() }
