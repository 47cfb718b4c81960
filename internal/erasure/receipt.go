package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/erasure/db"
)

// found is what a tenant had when nothing new could come any more, before the first of it was deleted.
type found struct {
	Objects blob.Contents    `json:"objects"`
	Rows    map[string]int64 `json:"rows"` // by table
}

// receipt says what was erased. Encoded it is as RFC 8785 has it: its members are in order, and none has a text that
// encoding/json writes otherwise.
type receipt struct {
	BegunAt    time.Time `json:"begun_at"`
	ErasureID  string    `json:"erasure_id"`
	FinishedAt time.Time `json:"finished_at"`
	found
	Tenant string `json:"tenant"`
}

// measure counts what there is, once. closed is false while a transaction runs that may yet add to it.
func (e *Eraser) measure(ctx context.Context, tenant string) (had found, closed bool, err error) {
	p, err := e.q(tenant).Progress(ctx, tenant)
	if err != nil || !p.Closed {
		return had, false, err
	}
	if p.Found != nil {
		return had, true, json.Unmarshal(p.Found, &had)
	}
	if had.Objects, err = e.objects(ctx, tenant); err != nil {
		return had, false, err
	}
	if had.Rows, err = count(ctx, e.q(tenant), tenant); err != nil {
		return had, false, err
	}
	text, err := json.Marshal(had)
	if err != nil {
		return had, false, err
	}
	kept, err := e.q(tenant).KeepFound(ctx, db.KeepFoundParams{Tenant: tenant, Found: text, Keyed: had.Rows["access_keys"] > 0})
	if err != nil {
		return had, false, fmt.Errorf("keep what was found: %w", err)
	}
	had = found{}
	return had, true, json.Unmarshal(kept, &had)
}

func (e *Eraser) objects(ctx context.Context, tenant string) (all blob.Contents, err error) {
	for _, prefix := range prefixes(tenant) {
		c, err := e.cfg.Bucket.Measure(ctx, prefix)
		if err != nil {
			return all, err
		}
		all = all.Plus(c)
	}
	return all, nil
}

func count(ctx context.Context, q *db.Queries, tenant string) (map[string]int64, error) {
	rows, err := q.CountRows(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	all := make(map[string]int64, len(rows))
	for _, r := range rows {
		all[r.Name] = r.N
	}
	return all, nil
}

// finish makes sure that nothing is left, and writes the receipt. What is left after all the next round deletes.
func (e *Eraser) finish(ctx context.Context, tenant string, had found) error {
	objects, err := e.objects(ctx, tenant)
	if err != nil {
		return err
	}
	if objects.Versions > 0 {
		e.log.WarnContext(ctx, "objects are left to the next round of an erasure", slog.Int64("versions", objects.Versions))
		return nil
	}
	return pgx.BeginFunc(ctx, e.as(tenant), func(tx pgx.Tx) error {
		q := db.New(tx)
		left, err := count(ctx, q, tenant)
		if err != nil {
			return err
		}
		for table, n := range left {
			if n > 0 {
				e.log.WarnContext(ctx, "rows are left to the next round of an erasure", slog.String("table", table), slog.Int64("rows", n))
				return nil
			}
		}
		p, err := q.Progress(ctx, tenant)
		if err != nil {
			return err
		}
		text, err := json.Marshal(receipt{BegunAt: p.BegunAt.UTC(), ErasureID: p.ID, FinishedAt: p.Clock.UTC(), found: had, Tenant: tenant})
		if err != nil {
			return err
		}
		n, err := q.FinishErasure(ctx, db.FinishErasureParams{Tenant: tenant, FinishedAt: p.Clock, Receipt: string(text)})
		if err != nil || n == 0 { // another was faster
			return err
		}
		e.log.InfoContext(ctx, "tenant erased", slog.String("erasure_id", p.ID))
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.TenantErased, Subject: p.ID, Detail: "sha256=" + Erasure{Receipt: string(text)}.SHA256()})
	})
}
