package job

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// offersCopySQL begins a COPY of the columns in the order of offerCopy.
const offersCopySQL = `COPY offers_rows (tenant, job_id, fence, account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
	composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes) FROM STDIN (FORMAT binary)`

const offerColumns = 17

// Of PostgreSQL's binary forms: COPY's signature, flags and extension; the end
// of its rows; the day that dates count from, and infinity; the OID of text.
const (
	copyHeader   = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer  = "\xff\xff"
	dateEpoch    = 10_957 // 2000-01-01
	dateInfinity = math.MaxInt32
	textOID      = 25
)

// copyChunk is what offerCopy encodes at a time: pgx sends what 64 KiB hold.
const copyChunk = 60 << 10

// offerCopy reads as the binary form of the offers of a lease. pgx's own encoder
// boxes each value and looks up how to write it, which costs four times the CPU
// of encoding and sending (BenchmarkCopy). It holds one chunk and no more, and goroutines may share it: pgx reads
// it in one of its own, which may outlive the copy.
type offerCopy struct {
	mu   sync.Mutex
	next func() (Offer, bool, error)
	same []byte // what all rows begin with
	buf  []byte
	rest []byte // of buf, what is not read yet
	end  error  // io.EOF after the last offer; an error of next or of an offer; nil: not there yet
}

func newOfferCopy(l *Lease, next func() (Offer, bool, error)) *offerCopy {
	same := binary.BigEndian.AppendUint16(nil, offerColumns)
	same = appendText(appendText(same, l.Tenant), l.JobID)
	c := &offerCopy{next: next, same: appendInt8(same, l.Fence), buf: make([]byte, 0, copyChunk+4096)}
	c.rest = append(c.buf, copyHeader...)
	return c
}

func (c *offerCopy) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rest) == 0 {
		if c.end != nil {
			return 0, c.end
		}
		c.fill()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// close waits for a Read that is under way; next is not called after it. It
// returns what kept the offers from being read whole.
func (c *offerCopy) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.end, io.EOF) {
		return nil
	}
	cause := c.end
	c.end, c.rest = io.ErrClosedPipe, nil
	return cause
}

func (c *offerCopy) fill() {
	b := c.buf[:0]
	for len(b) < copyChunk && c.end == nil {
		o, ok, err := c.next()
		switch {
		case err != nil:
			c.end = err
		case !ok:
			b, c.end = append(b, copyTrailer...), io.EOF
		default:
			b, c.end = c.appendOffer(b, &o)
		}
	}
	c.buf, c.rest = b, b
}

func (c *offerCopy) appendOffer(b []byte, o *Offer) ([]byte, error) {
	b = append(b, c.same...)
	b = appendText(b, o.AccountID)
	if o.Day == NoDay {
		b = appendInt4(b, dateInfinity)
	} else {
		b = appendInt4(b, o.Day-dateEpoch)
	}
	if o.AsOfDay == NoDay {
		b = binary.BigEndian.AppendUint32(b, math.MaxUint32) // NULL
	} else {
		b = appendInt4(b, o.AsOfDay-dateEpoch)
	}
	b = appendInt8(appendInt8(b, o.AmountMinor), o.TransactionCount)
	for _, v := range [...]int64{int64(o.CreditScore), int64(o.Months), o.CompositePPM, o.VolumePPM, o.RatioPPM, o.ConsistencyPPM} {
		if v != int64(int32(v)) {
			return b, fmt.Errorf("offer of account %.64q: %d is out of range", o.AccountID, v)
		}
		b = appendInt4(b, int32(v))
	}
	b = append(b, 0, 0, 0, 1, 0)
	if o.Approved {
		b[len(b)-1] = 1
	}
	return appendTexts(appendText(b, o.RiskLevel), o.ReasonCodes), nil
}

// appendInt4 also writes dates. Each value has its length before it.
func appendInt4(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(v))
}

func appendInt8(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v))
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// appendTexts writes a text[]: its dimensions, of which an empty one has none,
// whether a member is NULL, the members' type, and for each dimension its length
// and first subscript.
func appendTexts(b []byte, texts []string) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0) // length of all that follows
	dimensions := uint32(min(len(texts), 1))
	b = binary.BigEndian.AppendUint32(b, dimensions)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, textOID)
	if dimensions > 0 {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(texts))), 0, 0, 0, 1)
	}
	for _, t := range texts {
		b = appendText(b, t)
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}
