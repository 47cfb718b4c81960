package upload

import (
	"context"
	"strings"
	"time"

	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// askEvery is how often a newcomer looks whether the holder has left.
const askEvery = 50 * time.Millisecond

// ask has a writer in another process store what it has and leave, and waits for that, 2 s at most: it may be dead. What
// is safe does not depend on it, only how much must be sent again.
func (s *Store) ask(ctx context.Context, u db.Upload) error {
	if u.Holder == "" || u.Holder == s.id { // within a process that is the locker's
		return nil
	}
	if err := s.ledger.as(scope.Tenant(u.Tenant)).AskToLeave(ctx, db.AskToLeaveParams{Holder: u.Holder, ID: u.ID}); err != nil {
		return err
	}
	timeout, tick := time.NewTimer(patience), time.NewTicker(askEvery)
	defer timeout.Stop()
	defer tick.Stop()
	for {
		holder, err := s.ledger.as(scope.Tenant(u.Tenant)).Holder(ctx, db.HolderParams{ID: u.ID, Tenant: u.Tenant})
		if err != nil || holder != u.Holder {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timeout.C:
			s.metrics.takeovers.Inc()
			return nil
		}
	}
}

// leave records that a writer is done, so that the next one need not ask.
func (s *Store) leave(ctx context.Context, u db.Upload) {
	if u.State == stateComplete {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // the client may have gone
	defer cancel()
	if err := s.ledger.as(scope.Tenant(u.Tenant)).Leave(ctx, db.LeaveParams{ID: u.ID, Tenant: u.Tenant, Epoch: u.Epoch}); err != nil {
		s.log.WarnContext(ctx, "end of a write not recorded", "upload_id", u.ID, "err", err)
	}
}

// Channel is where Postgres tells the processes that share the ledger whose writers are asked to leave. Whoever listens
// there for this process hands what it hears to Heard; while nobody does, others take over after 2 s.
const Channel = "sluice_upload"

// Heard has the writer leave that a notification on Channel is for, if it is one of this process's. It does not block.
func (s *Store) Heard(payload string) {
	if holder, id, ok := strings.Cut(payload, " "); ok && holder == s.id {
		s.locker.leave(id)
	}
}

// Drain has every writer of this process store what it has received and leave, with an answer on which clients resume,
// and refuses new ones likewise. It does not wait. It is for a process that is about to stop.
func (s *Store) Drain() { s.locker.close() }
