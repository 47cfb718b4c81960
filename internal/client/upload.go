package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	// errNoProgress ends a PATCH after stallTimeout.
	errNoProgress = errors.New("the connection made no progress")
	// errShort is a PATCH of which the server took less than was sent.
	errShort = errors.New("send file: the server took a part of it")
)

// Create makes an upload of sizeBytes with the given Upload-Metadata and
// returns its id, which is its job's id too. It is repeated as Send is, by one
// Idempotency-Key, so that a creation whose answer was lost leaves no second upload
// behind. A server that nothing was ever heard of is not waited for: it may be none.
func (c *Client) Create(ctx context.Context, sizeBytes int64, metadata map[string]string) (id string, err error) {
	retry, key := c.newRetry(), rand.Text()
	for {
		id, err := c.create(ctx, key, sizeBytes, metadata)
		if err == nil || !c.met.Load() {
			return id, err
		}
		if err := retry.after(ctx, err); err != nil {
			return "", err
		}
	}
}

func (c *Client) create(ctx context.Context, key string, sizeBytes int64, metadata map[string]string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.tusRequest(ctx, http.MethodPost, "files/")
	if err != nil {
		return "", fmt.Errorf("create upload: %w", err)
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Upload-Length", strconv.FormatInt(sizeBytes, 10))
	if len(metadata) > 0 {
		req.Header.Set("Upload-Metadata", encodeMetadata(metadata))
	}
	resp, err := c.do(req, http.StatusCreated)
	if err != nil {
		return "", fmt.Errorf("create upload: %w", err)
	}
	defer resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		return "", fmt.Errorf("create upload: %w: %w", errNotSluice, err)
	}
	// Only the id is taken from the answer, so that the key never goes to a host
	// that the user did not name.
	return path.Base(location.Path), nil
}

// Offset returns how many bytes of the upload the server holds, and how many
// it will be in all.
func (c *Client) Offset(ctx context.Context, id string) (offset, sizeBytes int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.tusRequest(ctx, http.MethodHead, "files", id)
	if err != nil {
		return 0, 0, fmt.Errorf("read offset: %w", err)
	}
	resp, err := c.do(req, http.StatusOK)
	if err != nil {
		return 0, 0, fmt.Errorf("read offset: %w", err)
	}
	defer resp.Body.Close()
	if offset, err = headerInt(resp, "Upload-Offset"); err != nil {
		return 0, 0, fmt.Errorf("read offset: %w", err)
	}
	if sizeBytes, err = headerInt(resp, "Upload-Length"); err != nil {
		return 0, 0, fmt.Errorf("read offset: %w", err)
	}
	return offset, sizeBytes, nil
}

// Send uploads what the server still lacks of src, the whole file, and returns
// when the job is enqueued. It asks the server where to go on after every
// failure. progress is told the offset reached, which steps back where bytes
// that were sent did not arrive; two goroutines may call it at once.
func (c *Client) Send(ctx context.Context, id string, src io.ReaderAt, progress func(offset int64)) error {
	retry, reached := c.newRetry(), int64(-1)
	for {
		offset, size, err := c.Offset(ctx, id)
		if err == nil && offset < size {
			if offset > reached {
				reached = offset
				retry.progress()
			}
			progress(offset)
			offset, err = c.patch(ctx, id, offset, size, src, progress)
		}
		if err == nil {
			progress(offset)
			if offset == size {
				return nil
			}
			err = errShort
		}
		if err := retry.after(ctx, err); err != nil {
			return err
		}
	}
}

// Terminate removes an upload that is not complete; its job is aborted.
func (c *Client) Terminate(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.tusRequest(ctx, http.MethodDelete, "files", id)
	if err != nil {
		return fmt.Errorf("terminate upload: %w", err)
	}
	resp, err := c.do(req, http.StatusNoContent)
	if err != nil {
		return fmt.Errorf("terminate upload: %w", err)
	}
	return resp.Body.Close()
}

// patch sends the rest of src in one request and returns the offset answered.
func (c *Client) patch(ctx context.Context, id string, offset, size int64, src io.ReaderAt, progress func(int64)) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errNoProgress) })
	defer stalled.Stop()

	req, err := c.tusRequest(ctx, http.MethodPatch, "files", id)
	if err != nil {
		return offset, fmt.Errorf("send file: %w", err)
	}
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	req.ContentLength = size - offset
	sent := offset
	req.Body = io.NopCloser(&watched{src: io.NewSectionReader(src, offset, size-offset), each: func(n int) {
		stalled.Reset(stallTimeout)
		sent += int64(n)
		progress(sent)
	}})
	resp, err := c.do(req, http.StatusNoContent)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNoProgress) {
			err = cause // the transport only says "canceled"
		}
		return offset, fmt.Errorf("send file: %w", err)
	}
	defer resp.Body.Close()
	return headerInt(resp, "Upload-Offset")
}

func (c *Client) tusRequest(ctx context.Context, method string, path ...string) (*http.Request, error) {
	req, err := c.request(ctx, method, path...)
	if err == nil {
		req.Header.Set("Tus-Resumable", "1.0.0")
	}
	return req, err
}

// watched tells each read's length, after it.
type watched struct {
	src  io.Reader
	each func(n int)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.src.Read(p)
	w.each(n)
	return n, err
}

// encodeMetadata writes the tus header: `key base64,key base64`, keys sorted.
func encodeMetadata(metadata map[string]string) string {
	pairs := make([]string, 0, len(metadata))
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(metadata[key])))
	}
	return strings.Join(pairs, ",")
}

func headerInt(resp *http.Response, name string) (int64, error) {
	n, err := strconv.ParseInt(resp.Header.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %s is %q", errNotSluice, name, resp.Header.Get(name))
	}
	return n, nil
}
