package upload

import (
	"context"
	"fmt"
	"io"

	"sluice/internal/blob"
	"sluice/internal/upload/db"
)

// part is what becomes one object: bytes from a PATCH, behind those of a remainder that they are merged with, if any.
type part struct {
	memory    *account
	key       string
	remainder *db.Part // nil: none

	slabs []*slab
	size  int64  // bytes received, without the remainder's
	crc   uint64 // of them

	done   chan struct{} // closed when object and err are set
	object blob.Object
	err    error
}

// receive reads up to limit bytes of src, and fewer if memory is short: then the part is sent as it is, which frees its
// memory, rather than kept while it waits for more. It waits for the first bytes in head, so that a client that sends
// nothing holds no memory. The end of src is io.EOF.
func (p *part) receive(ctx context.Context, src io.Reader, head []byte, limit int64) error {
	var n int
	var err error
	for n == 0 && err == nil {
		n, err = src.Read(head[:min(limit, int64(len(head)))])
	}
	if n == 0 {
		return err
	}
	first, waitErr := p.memory.wait(ctx)
	if waitErr != nil {
		return fmt.Errorf("wait for memory: %w", waitErr)
	}
	p.slabs = append(p.slabs, first)
	p.took(first[:copy(first[:], head[:n])])
	for err == nil && p.size < limit {
		room := p.room()
		if room == nil {
			return nil
		}
		n, err = src.Read(room[:min(limit-p.size, int64(len(room)))])
		p.took(room[:n])
		if len(p.slabs) > 1 && p.memory.Wanted() {
			return err // a slow client's too, which would not come to the end of its slab for long
		}
	}
	return err
}

// took counts bytes that have just been read, and are still in the CPU's cache.
func (p *part) took(b []byte) {
	p.crc = blob.UpdateCRC64(p.crc, b)
	p.size += int64(len(b))
}

// room returns where to read to, or nil if there is no memory left.
func (p *part) room() []byte {
	if at := p.size % slabBytes; at != 0 {
		return p.slabs[len(p.slabs)-1][at:]
	}
	next := p.memory.try()
	if next == nil {
		return nil
	}
	p.slabs = append(p.slabs, next)
	return next[:]
}

// store writes the part as an object and lets go of its memory.
func (p *part) store(ctx context.Context, bucket *blob.Bucket) {
	defer close(p.done)
	body := pieces(p.slabs, p.size)
	defer p.release()
	crc := p.crc
	if p.remainder != nil {
		before, err := p.fetch(ctx, bucket)
		defer p.memory.release(before...)
		if err != nil {
			p.err = err
			return
		}
		if before == nil { // no memory for it: it stays a part of its own
			p.remainder = nil
		} else {
			// S3 compares: so the bytes that were read back are those that were recorded.
			crc = blob.Combine(uint64(p.remainder.Crc64), crc, p.size)
			body = append(pieces(before, p.remainder.SizeBytes), body...)
		}
	}
	p.object, p.err = bucket.PutSegments(ctx, p.key, crc, body...)
}

// fetch reads the remainder back, or returns nothing if there is no memory for it.
func (p *part) fetch(ctx context.Context, bucket *blob.Bucket) (slabs []*slab, err error) {
	r := p.remainder
	for n := int64(0); n < r.SizeBytes; n += slabBytes {
		next := p.memory.try() // not wait: this part holds memory already
		if next == nil {
			p.memory.release(slabs...)
			return nil, nil
		}
		slabs = append(slabs, next)
	}
	stored := bucket.Open(ctx, blob.Object{Key: r.ObjectKey, ETag: r.Etag, SizeBytes: r.SizeBytes})
	defer stored.Close()
	for _, b := range pieces(slabs, r.SizeBytes) {
		if _, err := io.ReadFull(stored, b); err != nil {
			return slabs, fmt.Errorf("read remainder: %w", err)
		}
	}
	return slabs, nil
}

func (p *part) release() {
	p.memory.release(p.slabs...)
	p.slabs = nil
}

// row returns the part as the ledger records it, once it is stored at the end of offset.
func (p *part) row(id string, offset int64) db.Part {
	row := db.Part{
		UploadID: id, StartBytes: offset, SizeBytes: p.object.SizeBytes,
		ObjectKey: p.object.Key, Etag: p.object.ETag, Crc64: int64(p.object.CRC64),
	}
	if p.remainder != nil {
		row.StartBytes = p.remainder.StartBytes
	}
	return row
}

// pieces returns the first size bytes of slabs.
func pieces(slabs []*slab, size int64) [][]byte {
	all := make([][]byte, len(slabs))
	for i, s := range slabs {
		n := min(size, slabBytes)
		all[i], size = s[:n], size-n
	}
	return all
}
