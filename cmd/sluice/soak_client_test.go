package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// sender is a tus client that trusts nobody: it remembers what it was told, and
// an answer that no correct server gives, or that would end a real client, is an
// error.
type sender struct {
	base     string // URL of a gateway or of a line to one
	key      string // its API key; "" where none is asked for
	patience int    // how many failures in a row it bears
	sample   sample
	file     []byte
	random   *rand.Rand
	http     http.Client

	id     string
	told   int64 // the greatest offset that a server has acknowledged
	thrown int   // how often it was thrown back
	cut    error // why there was no answer at all, the last time
}

func newSender(base string, s sample, seed uint64) (*sender, error) {
	file, err := os.ReadFile(s.path)
	return &sender{
		base: base, patience: 3000, sample: s, file: file, random: rand.New(rand.NewPCG(seed, 1)),
		// A connection for each request: an idle one that a server closes is
		// no failure of anybody's.
		http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, err
}

// twin is another client with the same upload, by another way.
func (s *sender) twin(base string, seed uint64) *sender {
	twin := *s
	twin.base, twin.random = base, rand.New(rand.NewPCG(seed, 2))
	return &twin
}

// errUnanswered is no violation: the line or the server was lost, or told us to come back.
var errUnanswered = errors.New("not answered")

// request returns the answer's header if its status is want.
func (s *sender) request(ctx context.Context, method string, want int, body []byte, header ...string) (http.Header, error) {
	url := s.base + "/files/" + s.id
	if s.id == "" {
		url = s.base + "/files"
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.cut = err
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // only shown
	switch resp.StatusCode {
	case want:
		return resp.Header, nil
	case http.StatusConflict, http.StatusLocked, http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %s", errUnanswered, resp.Status)
	}
	return nil, fmt.Errorf("%s at offset %d of %s answers %s, which ends a client: %s", method, s.told, s.id, resp.Status, text)
}

// create makes the upload. A refusal is tried again, for it must have made none:
// the verdict counts.
func (s *sender) create(ctx context.Context) error {
	h, err := s.request(ctx, http.MethodPost, http.StatusCreated, nil, "Upload-Length", strconv.Itoa(len(s.file)))
	for failures := 0; errors.Is(err, errUnanswered) && failures < s.patience; failures++ {
		if err := pause(ctx); err != nil {
			return err
		}
		h, err = s.request(ctx, http.MethodPost, http.StatusCreated, nil, "Upload-Length", strconv.Itoa(len(s.file)))
	}
	if err != nil {
		return err
	}
	s.cut = nil
	location := h.Get("Location")
	s.id = location[strings.LastIndex(location, "/")+1:]
	return nil
}

// acknowledge notes an offset that the server names, and that may not be less
// than any before.
func (s *sender) acknowledge(method string, h http.Header) error {
	at, err := strconv.ParseInt(h.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return fmt.Errorf("%s of %s tells no offset: %w", method, s.id, err)
	}
	if at < s.told || at > int64(len(s.file)) {
		return fmt.Errorf("the offset of %s went from %d to %d of %d", s.id, s.told, at, len(s.file))
	}
	s.told = at
	return nil
}

// send sends the whole file, however often it is thrown back. An error says
// what the servers have done wrong.
func (s *sender) send(ctx context.Context) error {
	for failures := 0; s.told < int64(len(s.file)); {
		before := s.told
		err := s.piece(ctx)
		if s.told > before {
			failures = 0
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errUnanswered) {
			return err
		}
		s.thrown++
		if failures++; failures > s.patience {
			return fmt.Errorf("upload %s is stuck at %d of %d: %w", s.id, s.told, len(s.file), err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// piece asks for the offset and sends a piece of a random length from there.
func (s *sender) piece(ctx context.Context) error {
	h, err := s.request(ctx, http.MethodHead, http.StatusOK, nil)
	if err != nil {
		return err
	}
	if err := s.acknowledge(http.MethodHead, h); err != nil || s.told == int64(len(s.file)) {
		return err
	}
	at := s.told
	return s.patch(ctx, at, min(1+s.length(), int64(len(s.file))-at))
}

// length is one of a remainder, of a part or two, or of all that is left.
func (s *sender) length() int64 {
	return []int64{s.random.Int64N(64 << 10), s.random.Int64N(2 << 20), s.random.Int64N(12 << 20), 1 << 40}[s.random.IntN(4)]
}

// patch sends n bytes of the file from at, which must then be where it is.
func (s *sender) patch(ctx context.Context, at, n int64) error {
	h, err := s.request(ctx, http.MethodPatch, http.StatusNoContent, s.file[at:at+n], "Upload-Offset", strconv.FormatInt(at, 10))
	if err != nil {
		return err
	}
	if err := s.acknowledge(http.MethodPatch, h); err != nil {
		return err
	}
	if s.told != at+n {
		return fmt.Errorf("a PATCH of %d bytes at %d of %s is acknowledged as %d", n, at, s.id, s.told)
	}
	return nil
}

// pause is what a client waits before it tries again.
func pause(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
