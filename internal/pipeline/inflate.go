package pipeline

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits of PARSING.md. Honest CSV shrinks 3 to 20 times; the ratio is looked
// at only past a size that does no harm.
const (
	maxRatio     = 200
	ratioFreeFor = 64 << 20 // bytes inflated
	maxWindow    = 32 << 20 // bytes of history that zstd may ask for
)

// headBytes are looked at to tell compression and encoding.
const headBytes = 4096

// opened is the text of a file.
type opened struct {
	text        io.Reader // UTF-8, or what the parser will refuse
	compression string    // gzip, zstd or ""
	encoding    string    // as in the WHATWG's list, utf-8 for one
	close       func()    // frees the decoder; never nil
}

// open undoes compression, by magic bytes, and encoding, by label or by what
// the bytes show.
func open(src *source, label string) (o opened, err error) {
	o.close = func() {}
	raw := bufio.NewReaderSize(src, bufBytes)
	plain := raw
	if o.compression = compressionOf(raw); o.compression != "" {
		in := &inflater{name: o.compression, src: src}
		if err := in.open(raw); err != nil {
			return o, err
		}
		o.close = in.close
		plain = bufio.NewReaderSize(in, bufBytes)
		if nested := compressionOf(plain); nested != "" {
			return o, fail(CodeCompressed, "the file is compressed twice (%s in %s); send it compressed once", nested, o.compression)
		}
	}
	if o.text, o.encoding, err = decode(plain, label); err == nil {
		o.text = rowsOf(o.text)
	}
	return o, err
}

const bufBytes = 64 << 10

// What begins the streams that are undone.
const (
	GzipMagic = "\x1f\x8b"
	ZstdMagic = "\x28\xb5\x2f\xfd"
)

// magics begin compressed streams, and no text. What may begin a header too
// (bzip2's is letters) is left to the parser, as archives are (xlsx is a zip).
var magics = [...]struct{ name, magic string }{
	{"gzip", GzipMagic},
	{"zstd", ZstdMagic},
	{"xz", "\xfd7zXZ\x00"},
	{"lz4", "\x04\x22\x4d\x18"},
	{"compress", "\x1f\x9d"},
}

// compressionOf names the compression r begins with; "" is none.
func compressionOf(r *bufio.Reader) string {
	head, _ := r.Peek(8) // an error is met again by the next read
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.name
		}
	}
	// A skippable frame of zstd: 0x184D2A50 to 5F (RFC 8878, 3.1.2).
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18" {
		return "zstd"
	}
	return ""
}

// inflater is a decoder under limits, whose errors are Failures unless they
// are the source's own.
type inflater struct {
	name  string
	src   *source
	r     io.Reader
	close func()
	out   int64 // bytes inflated
	err   error // what Read ended with; buffers above forget
}

func (in *inflater) open(raw io.Reader) error {
	switch in.name {
	case "gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return in.fault(err)
		}
		in.r, in.close = z, func() { z.Close() }
	case "zstd":
		// One goroutine: no read-ahead that would have to be accounted for.
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return in.fault(err)
		}
		in.r, in.close = z, z.Close
	default:
		return fail(CodeCompressed, "the file is compressed with %s, which is not read; use gzip or zstd, or none", in.name)
	}
	return nil
}

func (in *inflater) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.r.Read(p)
	in.out += int64(n)
	switch {
	case in.out > ratioFreeFor && in.out/maxRatio > in.src.bytes.Load():
		n, err = 0, fail(CodeBadCompression, "the file inflates to more than %d times its size", maxRatio)
	case err != nil && err != io.EOF: //nolint:errorlint // as in source
		err = in.fault(err)
	}
	in.err = err
	return n, err
}

// fault puts a decoder's error into words.
func (in *inflater) fault(err error) error {
	switch {
	case in.src.err != nil:
		return in.src.err
	case in.out > 0 && errors.Is(err, gzip.ErrHeader):
		return fail(CodeBadCompression, "something that is not gzip follows the gzip data; send the file without it")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fail(CodeBadCompression, "the %s data end too early; the file was cut off", in.name)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		return fail(CodeBadCompression, "the %s data do not match their checksum; the file is damaged", in.name)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fail(CodeBadCompression, "the zstd data need a window of more than %d MiB; compress without --long or --ultra", maxWindow>>20)
	default:
		return fail(CodeBadCompression, "the %s data are damaged", in.name)
	}
}
