package gateway

import (
	"crypto/md5"  //nolint:gosec // one of tus's algorithms against errors on the way, not against people
	"crypto/sha1" //nolint:gosec // which tus says every server must have
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/upload"
)

const (
	checksumHeader = "Upload-Checksum"
	// checksumAlgorithms is what Tus-Checksum-Algorithm tells.
	checksumAlgorithms = "sha1,sha256,md5,crc32c"
	// statusChecksumMismatch is tus's own.
	statusChecksumMismatch = 460
)

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "sha256":
		return sha256.New()
	case "md5":
		return md5.New() //nolint:gosec // see the import
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	}
	return nil
}

// checksummed adds tus's checksum and checksum-trailer, which tusd does not
// have: a body that says what it hashes to is taken whole or not at all.
func (f *files) checksummed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		b := &checkedBody{ReadCloser: r.Body, request: r, hashes: map[string]hash.Hash{}}
		switch claims := r.Header.Values(checksumHeader); {
		case len(claims) > 1:
			return badField(checksumHeader, "must be given once")
		case len(claims) == 1:
			claim, err := parseChecksum(claims[0])
			if err != nil {
				return err
			}
			b.claim = &claim
			b.hashes[claim.algorithm] = newHash(claim.algorithm)
		case announced(r):
			for algorithm := range strings.SplitSeq(checksumAlgorithms, ",") { // the trailer will say which
				b.hashes[algorithm] = newHash(algorithm)
			}
		default:
			return next(c)
		}
		r = r.WithContext(upload.WithCheck(r.Context(), b.check))
		r.Body, b.request = b, r
		c.SetRequest(r)
		return next(c)
	}
}

// announced tells whether a checksum will follow the body.
func announced(r *http.Request) bool {
	_, ok := r.Trailer[http.CanonicalHeaderKey(checksumHeader)]
	return ok
}

// checksum is what a client says its body hashes to.
type checksum struct {
	algorithm string
	sum       []byte
}

// parseChecksum reads an Upload-Checksum header. The error is a 400.
func parseChecksum(header string) (checksum, error) {
	algorithm, encoded, _ := strings.Cut(header, " ")
	if !slices.Contains(strings.Split(checksumAlgorithms, ","), algorithm) {
		return checksum{}, badField(checksumHeader, "its algorithm must be one of "+checksumAlgorithms)
	}
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sum) != newHash(algorithm).Size() {
		return checksum{}, badField(checksumHeader, "must be the algorithm, a space and the checksum in base64")
	}
	return checksum{algorithm, sum}, nil
}

// checkedBody hashes a body while it is read.
type checkedBody struct {
	io.ReadCloser

	request *http.Request // for its trailer
	claim   *checksum     // nil until the trailer is there
	hashes  map[string]hash.Hash
	err     error // how reading ended; nil until then
}

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for _, h := range b.hashes {
		h.Write(p[:n]) // never fails
	}
	if err != nil {
		b.err = err
	}
	return n, err
}

// check is the store's, for upload.WithCheck. What the store had no room for it
// does not read, so the end of the body may still be to come.
func (b *checkedBody) check() error {
	one := make([]byte, 1)
	for b.err == nil {
		if n, _ := b.Read(one); n > 0 {
			return handler.ErrSizeExceeded
		}
	}
	if !errors.Is(b.err, io.EOF) { // the line broke, or another PATCH takes over
		return handler.ErrUploadInterrupted
	}
	if b.claim == nil {
		claim, err := parseChecksum(b.request.Trailer.Get(checksumHeader))
		if err != nil {
			return toldByTus(err)
		}
		b.claim = &claim
	}
	if subtle.ConstantTimeCompare(b.hashes[b.claim.algorithm].Sum(nil), b.claim.sum) != 1 {
		return handler.NewError("ERR_CHECKSUM_MISMATCH", "the bytes do not match their Upload-Checksum and were dropped; send them again", statusChecksumMismatch)
	}
	return nil
}

// toldByTus wraps a problem so that it passes through tusd and the store.
func toldByTus(err error) error {
	p := problemOf(err)
	return handler.NewError("ERR_INVALID_CHECKSUM", p.Detail, p.Status)
}
