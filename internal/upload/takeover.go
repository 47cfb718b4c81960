package upload

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/upload/db"
)

const (
	// askEvery is how often a newcomer looks whether the holder has left.
	askEvery = 50 * time.Millisecond
	// listenAgain is the wait before another attempt to listen.
	listenAgain = time.Second
)

// ask has a writer in another process store what it has and leave, and waits for that, 2 s at most: it may be dead. What
// is safe does not depend on it, only how much must be sent again.
func (s *Store) ask(ctx context.Context, u db.Upload) error {
	if u.Holder == "" || u.Holder == s.id { // within a process that is the locker's
		return nil
	}
	if err := s.ledger.queries.AskToLeave(ctx, db.AskToLeaveParams{Holder: u.Holder, ID: u.ID}); err != nil {
		return err
	}
	timeout, tick := time.NewTimer(patience), time.NewTicker(askEvery)
	defer timeout.Stop()
	defer tick.Stop()
	for {
		holder, err := s.ledger.queries.Holder(ctx, u.ID)
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
	if err := s.ledger.queries.Leave(ctx, db.LeaveParams{ID: u.ID, Epoch: u.Epoch}); err != nil {
		s.log.WarnContext(ctx, "end of a write not recorded", "upload_id", u.ID, "err", err)
	}
}

// Listen has writers of this process leave when those of others ask for it, until ctx ends; then it returns nil. It takes
// a connection of its own from the pool. While it is not running others take over after 2 s.
func (s *Store) Listen(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.listen(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "takeovers not heard, listening again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

func (s *Store) listen(ctx context.Context) error {
	conn, err := s.cfg.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	own := conn.Hijack() // a connection that listens is nobody else's
	defer func() { _ = own.Close(context.WithoutCancel(ctx)) }()
	if _, err := own.Exec(ctx, "LISTEN sluice_upload"); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return s.hear(ctx, own)
}

func (s *Store) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for notification: %w", err)
		}
		if holder, id, ok := strings.Cut(n.Payload, " "); ok && holder == s.id {
			s.locker.leave(id)
		}
	}
}

// Drain has every writer of this process store what it has received and leave, with an answer on which clients resume,
// and refuses new ones likewise. It does not wait. It is for a process that is about to stop.
func (s *Store) Drain() { s.locker.close() }
