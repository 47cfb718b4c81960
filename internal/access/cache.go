package access

import (
	"sync"
	"time"
)

// maxCached bounds what is remembered, some 200 bytes each.
const maxCached = 10_000

// found is what was looked up of a secret that is good.
type found struct {
	principal Principal
	endsAt    time.Time // of a session
	until     time.Time // believed so long
}

// cache remembers good secrets by their digests for moments. Bad ones are not remembered, so nobody can fill it with
// what he invents.
type cache struct {
	mu    sync.Mutex
	known map[digest]found
	any   bool      // there is a key: that never changes
	noKey time.Time // until when there is believed to be none
	turn  uint64    // counts what was heard
}

func newCache() *cache { return &cache{known: make(map[digest]found)} }

// get returns what is known of a secret, and the turn, which put takes back.
func (c *cache) get(d digest) (f found, turn uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok = c.known[d]
	return f, c.turn, ok && time.Now().Before(f.until)
}

// put remembers what was looked up, unless something was heard since get: it may be older.
func (c *cache) put(d digest, f found, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if turn != c.turn {
		return
	}
	if len(c.known) >= maxCached {
		clear(c.known)
	}
	c.known[d] = f
}

// forget has everything looked up anew.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.noKey = time.Time{}
	c.turn++
}

// anyKey returns what is known of whether there is a key.
func (c *cache) anyKey() (is, known bool, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.any, c.any || time.Now().Before(c.noKey), c.turn
}

func (c *cache) putAny(is bool, fresh time.Duration, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case is:
		c.any = true
	case turn == c.turn:
		c.noKey = time.Now().Add(fresh)
	}
}
