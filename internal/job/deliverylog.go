package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// DeliveryLog is a delivery with its attempts, for the webhook's owner.
type DeliveryLog struct {
	ID        string // the webhook-id that the receiver sees
	JobID     string
	EventType string
	State     string    // pending, delivered, or failed
	NextAt    time.Time // of the next attempt; zero unless pending
	CreatedAt time.Time
	Attempts  []Attempt // oldest first; of replays too
}

// Deliveries returns up to limit deliveries to a webhook, newest first, of those
// before that id, or of all for "". ErrWebhook: it is another tenant's or nobody's.
func (s *Store) Deliveries(ctx context.Context, tenant, webhook, before string, limit int) ([]DeliveryLog, error) {
	if !validID(webhookPrefix, webhook) || before != "" && !validID(deliveryPrefix, before) {
		return nil, ErrWebhook
	}
	if before == "" {
		before = beyondIDs
	}
	q := s.as(scope.Tenant(tenant))
	known, err := q.HasWebhook(ctx, db.HasWebhookParams{Tenant: tenant, ID: webhook})
	if err != nil {
		return nil, fmt.Errorf("find webhook: %w", err)
	}
	if !known {
		return nil, ErrWebhook
	}
	rows, err := q.ListDeliveries(ctx, db.ListDeliveriesParams{Tenant: tenant, WebhookID: webhook, Before: before, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	logs, ids, at := make([]DeliveryLog, len(rows)), make([]string, len(rows)), make(map[string]*DeliveryLog, len(rows))
	for i, r := range rows {
		logs[i] = DeliveryLog{ID: r.ID, JobID: r.JobID, EventType: r.EventType, State: r.State, CreatedAt: r.CreatedAt.UTC()}
		if r.State == "pending" {
			logs[i].NextAt = r.DueAt.UTC()
		}
		ids[i], at[r.ID] = r.ID, &logs[i]
	}
	attempts, err := q.ListAttempts(ctx, db.ListAttemptsParams{Ids: ids, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	for _, a := range attempts {
		of := at[a.DeliveryID]
		of.Attempts = append(of.Attempts, Attempt{
			At: a.At.UTC(), Duration: time.Duration(a.DurationMs) * time.Millisecond, StatusCode: int(a.StatusCode), Error: a.Error,
		})
	}
	return logs, nil
}

// Replay enqueues a delivery once more, whatever became of it, with the same id
// and payload and with all its attempts before it. ErrWebhook: it is unknown, or
// its webhook is disabled.
func (s *Store) Replay(ctx context.Context, tenant, webhook, id string) error {
	if !validID(webhookPrefix, webhook) || !validID(deliveryPrefix, id) {
		return ErrWebhook
	}
	return s.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) error {
		fence, err := db.New(tx).ReplayDelivery(ctx, db.ReplayDeliveryParams{Tenant: tenant, WebhookID: webhook, ID: id})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrWebhook
		}
		if err != nil {
			return fmt.Errorf("replay delivery %s: %w", id, err)
		}
		if err := audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.WebhookReplay, Subject: webhook, Detail: id}); err != nil {
			return err
		}
		return s.reenqueue(ctx, tx, tenant, id, webhook, fence)
	})
}

// RecoverDeliveries enqueues up to limit deliveries anew whose worker died, or
// whose River job is gone. Workers may call it at once.
func (s *Store) RecoverDeliveries(ctx context.Context, limit int) (n int, err error) {
	for ; n < limit; n++ {
		err := s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
			d, err := db.New(tx).LockStrandedDelivery(ctx)
			if err != nil {
				return err
			}
			return s.reenqueue(ctx, tx, d.Tenant, d.ID, d.WebhookID, d.Fence+1)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("recover delivery: %w", err)
		}
	}
	return n, nil
}

func (s *Store) reenqueue(ctx context.Context, tx pgx.Tx, tenant, id, webhook string, fence int64) error {
	rj, err := s.enqueueDelivery(ctx, tx, id, webhook, fence, 0)
	if err != nil {
		return err
	}
	if err := db.New(tx).Reenqueued(ctx, db.ReenqueuedParams{ID: id, Tenant: tenant, Fence: fence, RiverJobID: rj}); err != nil {
		return fmt.Errorf("save delivery %s: %w", id, err)
	}
	return nil
}

// ForgetDeliveries deletes up to limit ended deliveries that are older than age,
// with their attempts.
func (s *Store) ForgetDeliveries(ctx context.Context, age time.Duration, limit int) error {
	_, err := s.as(scope.System).ForgetDeliveries(ctx, db.ForgetDeliveriesParams{
		Before: firstID(deliveryPrefix, time.Now().Add(-age)), MaxRows: int32(limit),
	})
	if err != nil {
		return fmt.Errorf("forget deliveries: %w", err)
	}
	return nil
}
