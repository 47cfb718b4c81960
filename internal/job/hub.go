package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// hubQuiet is how long the hub's connection may say nothing before it is
	// asked whether it is still there, and hubAnswer what it gets to answer.
	hubQuiet, hubAnswer = 30 * time.Second, 10 * time.Second
	// Waits between attempts to connect anew.
	firstHubWait, maxHubWait = 100 * time.Millisecond, 5 * time.Second
)

// Hub tells any number of listeners within a process that a job has changed, by
// one connection to Postgres that all of them share.
//
// It only wakes: who is woken reads the job. So a notification that was missed
// while the connection was away costs nothing but time: after each reconnection
// everybody is woken. When it is lost, the pool gives its idle connections up.
type Hub struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	done chan struct{}

	others map[string]func(payload string) // by channel; not changed any more once Run is called

	mu        sync.Mutex
	listeners map[string]map[chan struct{}]struct{} // by job
}

// NewHub returns a Hub that connects as pool does, with a connection of its own.
// It does nothing until Run. A nil logger logs nothing.
func NewHub(pool *pgxpool.Pool, logger *slog.Logger) *Hub {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Hub{
		pool: pool, log: logger,
		done: make(chan struct{}), others: make(map[string]func(string)), listeners: make(map[string]map[chan struct{}]struct{}),
	}
}

// Also has hear called with the payload of each notification on another channel
// of Postgres's, whose name is taken as it is. It must be called before Run, whose
// goroutine calls hear: that must not block. What is sent while the connection is
// away is not heard.
func (h *Hub) Also(channel string, hear func(payload string)) { h.others[channel] = hear }

// Listen returns a channel that gets a value after each change of the job, and
// one for several that come while nobody looks. stop must be called once.
func (h *Hub) Listen(id string) (wake <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners[id] == nil {
		h.listeners[id] = make(map[chan struct{}]struct{})
	}
	h.listeners[id][ch] = struct{}{}
	return ch, func() { h.forget(id, ch) }
}

func (h *Hub) forget(id string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners[id], ch)
	if len(h.listeners[id]) == 0 {
		delete(h.listeners, id)
	}
}

// Done is closed when Run has ended: no listener is woken any more.
func (h *Hub) Done() <-chan struct{} { return h.done }

// Run listens until ctx ends, and connects anew whenever the connection is lost.
// It is called once, and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	for wait := firstHubWait; ctx.Err() == nil; wait = min(2*wait, maxHubWait) {
		began := time.Now()
		if err := h.listen(ctx); ctx.Err() == nil {
			h.log.WarnContext(ctx, "event connection lost", slog.Any("err", err))
			h.pool.Reset() // most likely the server was lost: each idle connection would cost a request its answer
		}
		if time.Since(began) > maxHubWait { // it held for a while: no reason for patience
			wait = firstHubWait
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// listen is the life of one connection.
func (h *Hub) listen(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, h.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // what it said is read; there is nothing to save
	for channel := range h.others {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, "LISTEN "+NotifyChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	h.wakeAll()
	for {
		n, err := next(ctx, conn)
		if err != nil {
			return err
		}
		h.hear(n)
	}
}

// hear passes a notification on; nil is none.
func (h *Hub) hear(n *pgconn.Notification) {
	if n == nil {
		return
	}
	if hear := h.others[n.Channel]; hear != nil {
		hear(n.Payload)
		return
	}
	h.wake(n.Payload)
}

// next returns the next notification, or nil when the connection was quiet and
// is still there.
func next(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	quiet, cancel := context.WithTimeout(ctx, hubQuiet)
	defer cancel()
	n, err := conn.WaitForNotification(quiet)
	if err == nil {
		return n, nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("wait for notification: %w", err)
	}
	answer, cancel := context.WithTimeout(ctx, hubAnswer)
	defer cancel()
	if err := conn.Ping(answer); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	return nil, nil
}

func (h *Hub) wake(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.listeners[id] {
		poke(ch)
	}
}

func (h *Hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, listeners := range h.listeners {
		for ch := range listeners {
			poke(ch)
		}
	}
}

// poke leaves a value in the channel unless one is there already.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
