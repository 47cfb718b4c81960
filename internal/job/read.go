package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// Bounds of Filter.Limit.
const (
	defaultJobs = 50
	maxJobs     = 1000
)

// beyondIDs sorts behind every id, which all begin with "job_".
const beyondIDs = "~"

// Get returns one job, with its Result. It returns ErrNotFound for an unknown id
// and for another tenant's.
func (s *Store) Get(ctx context.Context, tenant, id string) (Job, error) {
	return get(ctx, s.as(scope.Tenant(tenant)), tenant, id)
}

func get(ctx context.Context, q *db.Queries, tenant, id string) (Job, error) {
	if !storable(id) {
		return Job{}, ErrNotFound
	}
	r, err := q.GetJob(ctx, db.GetJobParams{Tenant: tenant, ID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	jobs := []Job{jobOf(db.ListJobsRow(r))}
	if err := addResults(ctx, q, tenant, jobs); err != nil {
		return Job{}, err
	}
	return jobs[0], nil
}

// Traceparent returns what began the trace of a job, as span.Traceparent told it;
// "" where nothing did, or there is no such job.
func (s *Store) Traceparent(ctx context.Context, tenant, id string) (string, error) {
	traceparent, err := s.as(scope.Tenant(tenant)).Traceparent(ctx, db.TraceparentParams{Tenant: tenant, ID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("get trace of job %s: %w", id, err)
	}
	return traceparent, nil
}

// List returns a tenant's jobs with their Results, newest first. To page, set
// Filter.Before to the last id that came; a page shorter than the limit is the
// last.
func (s *Store) List(ctx context.Context, tenant string, f Filter) ([]Job, error) {
	if f.Before == "" {
		f.Before = beyondIDs
	}
	if !storable(string(f.State), f.Channel, f.Query, f.Before) {
		return nil, nil
	}
	q := s.as(scope.Tenant(tenant))
	rows, err := q.ListJobs(ctx, db.ListJobsParams{
		Tenant:  tenant,
		Before:  f.Before,
		State:   string(f.State),
		Channel: f.Channel,
		Query:   strings.ToLower(f.Query),
		MaxRows: bound(f.Limit, defaultJobs, maxJobs),
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	jobs := make([]Job, len(rows))
	for i, r := range rows {
		jobs[i] = jobOf(r)
	}
	if err := addResults(ctx, q, tenant, jobs); err != nil {
		return nil, err
	}
	return jobs, nil
}

// Throughput returns how many bytes a second the tenant's last jobs were worked
// at, and 0 where none has ended yet.
func (s *Store) Throughput(ctx context.Context, tenant string) (float64, error) {
	r, err := s.as(scope.Tenant(tenant)).Throughput(ctx, tenant)
	if err != nil {
		return 0, fmt.Errorf("read throughput: %w", err)
	}
	if r.DurationMs == 0 {
		return 0, nil
	}
	return float64(r.SizeBytes) / (float64(r.DurationMs) / 1000), nil
}

// Source returns the objects that hold the job's bytes, in order. An empty file
// has none. The caller has claimed the job.
func (s *Store) Source(ctx context.Context, tenant, id string) ([]Object, error) {
	parts, err := s.as(scope.Worker(tenant)).ListParts(ctx, db.ListPartsParams{UploadID: id, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("list parts of job %s: %w", id, err)
	}
	objects := make([]Object, len(parts))
	var offset int64
	for i, p := range parts {
		if p.StartBytes != offset {
			return nil, fmt.Errorf("list parts of job %s: no part begins at byte %d", id, offset)
		}
		objects[i] = Object{Key: p.ObjectKey, ETag: p.Etag, SizeBytes: p.SizeBytes, CRC64: uint64(p.Crc64)}
		offset += p.SizeBytes
	}
	return objects, nil
}

// addResults sets Result of the jobs that have one. A job that is seen complete
// has it: both were committed together.
func addResults(ctx context.Context, q *db.Queries, tenant string, jobs []Job) error {
	at := make(map[string]*Job)
	var ids []string
	for i := range jobs {
		if jobs[i].State == JobComplete || jobs[i].State == Failed {
			at[jobs[i].ID] = &jobs[i]
			ids = append(ids, jobs[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	results, err := q.ListResults(ctx, db.ListResultsParams{JobIds: ids, Tenant: tenant})
	if err != nil {
		return fmt.Errorf("list results: %w", err)
	}
	for _, r := range results {
		at[r.JobID].Result = resultOf(r)
	}
	return nil
}

// storable reports whether Postgres can hold the texts: UTF-8 without NUL. What
// it cannot hold is in no row, and asking for it would be an error.
func storable(texts ...string) bool {
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.IndexByte(t, 0) >= 0 {
			return false
		}
	}
	return true
}

// bound returns limit, or def for 0, within 1 and most.
func bound(limit, def, most int) int32 {
	if limit == 0 {
		limit = def
	}
	return int32(max(1, min(limit, most)))
}
