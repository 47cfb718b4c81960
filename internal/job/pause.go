package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"sluice/internal/audit"
	"sluice/internal/scope"
)

// pausedReason is why a job waits in a queue that is paused.
const pausedReason = "its operator has paused the queue"

// Queue is how one of River's queues stands. Jobs held by their tenant's cap are
// in none.
type Queue struct {
	Name     string
	PausedAt time.Time // zero: it is not paused
	Waiting  int64     // River jobs that a worker may take
	Later    int64     // River jobs whose time has not come
	Running  int64     // River jobs that a worker has; those of dead workers too, until River prunes them
}

// Queues returns all queues by their names, once a worker has known them.
func (s *Store) Queues(ctx context.Context) ([]Queue, error) {
	rows, err := s.as(scope.System).ListQueues(ctx)
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	queues := make([]Queue, len(rows))
	for i, r := range rows {
		queues[i] = Queue{Name: r.Name, PausedAt: utc(r.PausedAt), Waiting: r.Waiting, Later: r.Later, Running: r.Running}
	}
	return queues, nil
}

// PauseQueue has no worker take anything more from a queue, until ResumeQueue; what
// runs goes on to its end. It outlives the workers. They hear of it at once, or
// within a minute where they are cut off. A queue that is not known is ErrNotFound.
func (s *Store) PauseQueue(ctx context.Context, name string) error {
	if err := s.know(ctx, name); err != nil {
		return err
	}
	return queueError("pause", name, s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		if err := s.river.QueuePauseTx(ctx, tx, name, nil); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{Action: audit.QueuePause, Subject: name})
	}))
}

// ResumeQueue ends what PauseQueue began. Of one that is not paused it does nothing.
func (s *Store) ResumeQueue(ctx context.Context, name string) error {
	if err := s.know(ctx, name); err != nil {
		return err
	}
	return queueError("resume", name, s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		if err := s.river.QueueResumeTx(ctx, tx, name, nil); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{Action: audit.QueueResume, Subject: name})
	}))
}

// know adds the queue of files, which may be paused before the first worker starts.
func (s *Store) know(ctx context.Context, name string) error {
	if name != river.QueueDefault {
		return nil
	}
	if err := s.as(scope.System).KnowQueue(ctx, name); err != nil {
		return fmt.Errorf("add queue %s: %w", name, err)
	}
	return nil
}

func queueError(do, name string, err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s queue %s: %w", do, name, err)
	}
	return nil
}

// Unannounce drops what announces jobs and deliveries that are not there any more.
func (s *Store) Unannounce(ctx context.Context) error {
	for {
		n, err := s.as(scope.System).Unannounce(ctx)
		if err != nil {
			return fmt.Errorf("drop announcements: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}
