package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// flood is what a tenant does that floods, and how much of it.
type flood struct {
	Key     string // its API key
	Creates int    // uploads to create
	Lines   int    // connections by which they are created
	Sockets int    // PATCHes that trickle until they are
}

// flooded is what the servers have promised the tenant, and refused it.
type flooded struct {
	Created  []string         // ids that were answered with 201
	Trickled map[string]int64 // by id: the offset that was answered
	Refused  int64            // creations that were answered with 429
	Seconds  float64          // that creating took
}

// What a flooding process says on its standard output, in this order, before a flooded.
const (
	floodBegins = "trickling"
	floodEnds   = "created"
)

// playFlood has its sockets trickle, creates uploads as fast as it can, and then ends
// the PATCHes as a client does that has no more.
func playFlood(r role) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: r.Flood.Lines}}
	f := &flooder{role: r, client: client, left: make(chan struct{}), did: flooded{Trickled: map[string]int64{}}}
	var sockets, begin, lines errgroup.Group
	for range r.Flood.Sockets {
		begin.Go(func() error { return f.trickle(&sockets) })
	}
	if err := begin.Wait(); err != nil {
		return err
	}
	fmt.Println(floodBegins)
	begun := time.Now()
	for range r.Flood.Lines {
		lines.Go(f.createAll)
	}
	err := lines.Wait()
	f.did.Seconds = time.Since(begun).Seconds()
	fmt.Println(floodEnds)
	close(f.left)
	if trickled := sockets.Wait(); err == nil {
		err = trickled
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f.did)
}

// flooder is a flood under way.
type flooder struct {
	role

	client *http.Client
	left   chan struct{} // closed when the sockets end
	begun  atomic.Int64  // creations

	mu  sync.Mutex
	did flooded
}

// createAll creates uploads until there are enough. It repeats at once what is refused,
// whatever it is told.
func (f *flooder) createAll() error {
	for f.begun.Add(1) <= int64(f.Flood.Creates) {
		id := ""
		for id == "" {
			status, h, err := f.ask(http.MethodPost, "", http.NoBody, "Upload-Length", "1000")
			switch {
			case err != nil:
				return err
			case status == http.StatusCreated:
				id = path.Base(h.Get("Location"))
			case status == http.StatusTooManyRequests && h.Get("Retry-After") != "":
				f.note(func(did *flooded) { did.Refused++ })
			default:
				return fmt.Errorf("a creation is answered with %d", status)
			}
		}
		f.note(func(did *flooded) { did.Created = append(did.Created, id) })
	}
	return nil
}

// trickle begins a PATCH, of which something has been sent when it returns.
func (f *flooder) trickle(sockets *errgroup.Group) error {
	status, h, err := f.ask(http.MethodPost, "", http.NoBody, "Upload-Length", "1000000")
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("answered %d", status)
	}
	if err != nil {
		return fmt.Errorf("create an upload that trickles: %w", err)
	}
	id, begun := path.Base(h.Get("Location")), make(chan struct{})
	body := &drip{begin: sync.OnceFunc(func() { close(begun) }), left: f.left, ticks: time.NewTicker(time.Second / dripsPerSecond)}
	sockets.Go(func() error {
		defer body.ticks.Stop()
		defer body.begin() // also if it was refused
		status, h, err := f.ask(http.MethodPatch, id, body, "Upload-Offset", "0")
		if err != nil {
			return err
		}
		offset, err := strconv.ParseInt(h.Get("Upload-Offset"), 10, 64)
		if err != nil || status != http.StatusNoContent || offset != body.sent {
			return fmt.Errorf("a PATCH that trickled %d bytes is answered with %d, offset %d", body.sent, status, offset)
		}
		f.note(func(did *flooded) { did.Trickled[id] = offset })
		return nil
	})
	<-begun
	return nil
}

func (f *flooder) note(what func(*flooded)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what(&f.did)
}

func (f *flooder) ask(method, id string, body io.Reader, header ...string) (status int, h http.Header, err error) {
	req, err := http.NewRequest(method, f.URL+id, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Authorization": {"Bearer " + f.Flood.Key}, header[0]: {header[1]}}
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header, err
}
