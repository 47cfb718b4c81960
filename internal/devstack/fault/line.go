package fault

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// stepBytes is how finely a line counts: it reads no more at a time.
const stepBytes = 16 << 10

// Line is a TCP proxy that can be pointed elsewhere and cut. Its methods may be
// called by several goroutines.
type Line struct {
	// Addr is where it listens, as host:port.
	Addr string

	listener net.Listener
	mu       sync.Mutex
	target   string
	conns    map[net.Conn]struct{}
	sent     int64 // bytes from clients so far
	at       int64 // where reach is called; 0: nowhere
	reach    func()
}

// NewLine starts a line to target, as host:port.
func NewLine(ctx context.Context, target string) (*Line, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start line: %w", err)
	}
	l := &Line{Addr: listener.Addr().String(), listener: listener, target: target, conns: map[net.Conn]struct{}{}}
	go l.accept()
	return l, nil
}

// Close cuts the line for good.
func (l *Line) Close() {
	l.listener.Close()
	l.Cut()
}

// Direct makes new connections lead to target; those that are, stay.
func (l *Line) Direct(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// Cut breaks every connection. New ones can be made.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// After calls f once, when n more bytes have passed from clients: exactly so
// many, and no more until f returns. It replaces an earlier After.
func (l *Line) After(n int64, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.reach = l.sent+n, f
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.connect(client)
	}
}

// connect carries one connection until either side ends it.
func (l *Line) connect(client net.Conn) {
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	server, err := net.Dial("tcp", target) //nolint:noctx // its life is the line's
	if err != nil {
		client.Close()
		return
	}
	l.keep(client, server)
	defer l.drop(client, server)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		carry(client, server, func(int) (int, func()) { return stepBytes, nil })
		halfClose(client)
	}()
	carry(server, client, l.count)
	halfClose(server) // the answer may be on its way
	<-answered
	// A close with bytes unread would take the answer back from a client that is
	// still sending (RFC 9112, 9.6).
	_, _ = io.Copy(io.Discard, client)
}

// halfClose tells c that nothing more will come.
func halfClose(c net.Conn) {
	if half, ok := c.(*net.TCPConn); ok {
		_ = half.CloseWrite() // it may be gone
	}
}

// carry copies until either side ends. count is told how many bytes are about to
// pass, and says how many of them may before it is asked again, and what to
// call after them.
func carry(to, from net.Conn, count func(n int) (int, func())) {
	buffer := make([]byte, stepBytes)
	for {
		n, err := from.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			may, then := count(len(rest))
			may = min(may, len(rest))
			if _, err := to.Write(rest[:may]); err != nil {
				return
			}
			if rest = rest[may:]; then != nil {
				then()
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *Line) count(n int) (int, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reach == nil || l.sent+int64(n) < l.at {
		l.sent += int64(n)
		return n, nil
	}
	may, f := l.at-l.sent, l.reach
	l.sent, l.reach = l.at, nil
	return int(may), f
}

func (l *Line) keep(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = struct{}{}
	}
}

func (l *Line) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(l.conns, c)
	}
}
