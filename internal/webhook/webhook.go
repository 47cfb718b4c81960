// Package webhook sends one signed message to a URL that a stranger gave: by the
// Standard Webhooks scheme, to no address that is not everybody's, and without
// believing anything of the answer but its status.
//
// It does not know jobs, retries or where secrets are kept.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sluice/internal/secret"
)

const (
	// defaultTimeout is what Standard Webhooks advises: 15 to 30 s.
	defaultTimeout = 15 * time.Second
	// maxAnswerBytes of a body are read, so that the connection ends in order.
	maxAnswerBytes = 4 << 10
	maxHeaderBytes = 16 << 10
	// secretBytes is within the scheme's 24 to 64.
	secretBytes   = 32
	maxURLBytes   = 2048
	handshakeTime = 5 * time.Second
)

// Config says whom a Sender may reach.
type Config struct {
	// Allow are networks that may be reached although they are not everybody's,
	// at any port. Default none.
	Allow []netip.Prefix
	// Timeout bounds one delivery, from the look-up of the name to the end of the
	// answer. Default 15 s.
	Timeout time.Duration
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver
}

// Message is one event on its way to one receiver.
type Message struct {
	ID      string // the same for each attempt: the receiver tells repetitions by it
	URL     string
	Payload []byte
	// Secrets sign, each once: two while one takes the other's place.
	Secrets []secret.Text
}

// Sender sends messages. Any number of goroutines may share it.
type Sender struct {
	client  *http.Client
	timeout time.Duration
}

// NewSender returns a Sender. It reads no environment: no proxy stands between it
// and the receiver, for a proxy would dial what must not be dialled.
func NewSender(cfg Config) *Sender {
	dialer := &net.Dialer{Resolver: cfg.Resolver, ControlContext: guard(cfg.Allow)}
	return &Sender{
		timeout: cmp.Or(cfg.Timeout, defaultTimeout),
		client: &http.Client{
			// A redirect is an answer like any other that is not 2xx.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSHandshakeTimeout: handshakeTime, ForceAttemptHTTP2: true,
				MaxResponseHeaderBytes: maxHeaderBytes, DisableCompression: true, DisableKeepAlives: true,
			},
		},
	}
}

// Send makes one attempt. It returns the status of the answer, 0 where none came,
// and nil when that is 2xx. Its errors are for the receiver's owner to read: they
// hold nothing of the answer, of addresses or of secrets.
func (s *Sender) Send(ctx context.Context, m Message) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Payload))
	if err != nil {
		return 0, errURL
	}
	if err := sign(r.Header, m, time.Now()); err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sluice-webhook/1")
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, plain(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswerBytes) // the status has said it all
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("the answer was %d", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

func sign(h http.Header, m Message, now time.Time) error {
	signatures := make([]string, len(m.Secrets))
	for i, key := range m.Secrets {
		by, err := standardwebhooks.NewWebhook(key.Reveal())
		if err == nil {
			signatures[i], err = by.Sign(m.ID, now, m.Payload)
		}
		if err != nil {
			return errors.New("the message could not be signed") // the library's error may quote the secret
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, m.ID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// NewSecret returns a new signing secret: "whsec_" and 32 random bytes in base64.
func NewSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}

// errURL is what CheckURL returns.
var errURL = errors.New("must be an http or https URL with a host, without user, password or fragment, of 2,048 bytes at most")

// CheckURL tells whether a receiver's URL can be right. Where its name leads is
// asked at each delivery, and only the answer of that moment counts.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, len(text) > maxURLBytes, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.User != nil, u.Fragment != "":
		return errURL
	}
	return nil
}

// plain says why nothing was answered, in words that hold no address.
func plain(err error) error {
	var unresolved *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrRefused):
		return ErrRefused
	case errors.As(err, &unresolved):
		return errors.New("the host's name could not be resolved")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer came in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return errors.New("the connection could not be made, or broke before an answer came")
}
