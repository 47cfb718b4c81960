package gateway

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/pipeline"
	"sluice/internal/transaction"
)

// maxConfigBytes bounds each text beside a file.
const maxConfigBytes = 64 << 10

var configKeys = []string{pipeline.KeyCredit, pipeline.KeyAggregate, pipeline.KeyParse}

// uploadFile reads multipart/form-data: one file, and settings before and
// after it. Nothing of it is kept but what is on its way to S3.
func uploadFile(t *taking) error {
	parts, err := multipartOf(t)
	if err != nil {
		return err
	}
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return badField("body", "is not multipart/form-data to its end: "+err.Error()).typed("bad_multipart")
		}
		switch name := part.FormName(); {
		case name == "file" && t.stored:
			return badField("file", "must be given once")
		case name == "file":
			if err := t.set("filename", part.FileName()); err != nil {
				return err
			}
			err = t.store(part)
		case slices.Contains(configKeys, name), name == "sha256":
			err = t.setFrom(name, part)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return badField("body", "is multipart/form-data without its last boundary").typed("bad_multipart")
		}
		if err != nil {
			return err
		}
	}
	if !t.stored {
		return badField("file", "is missing")
	}
	return nil
}

// setFrom is set with a value that is read.
func (t *taking) setFrom(name string, r io.Reader) error {
	value, err := io.ReadAll(io.LimitReader(r, maxConfigBytes+1))
	if err != nil {
		return err
	}
	if len(value) > maxConfigBytes {
		return badField(name, "is longer than 64 KiB")
	}
	return t.set(name, string(value))
}

// streamUpload reads a body that is the file, with the settings in the query.
func streamUpload(t *taking) error {
	r := t.c.Request()
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains([]string{"application/octet-stream", mediaCSV, mediaNDJSON}, media) {
		return newProblem(http.StatusUnsupportedMediaType, "The Content-Type must be application/octet-stream, text/csv or application/x-ndjson.")
	}
	for _, name := range append([]string{"filename", "sha256"}, configKeys...) {
		for _, value := range t.c.QueryParams()[name] {
			if value == "" {
				continue
			}
			if err := t.set(name, value); err != nil {
				return err
			}
		}
	}
	src := bufio.NewReaderSize(t.body, 4<<10)
	if err := checkEncoding(r.Header.Get("Content-Encoding"), src); err != nil {
		return err
	}
	return t.store(src)
}

// magics begin what is compressed. The file is stored as it came: its worker
// goes by these bytes and not by a header.
var magics = map[string]string{"gzip": pipeline.GzipMagic, "zstd": pipeline.ZstdMagic}

// checkEncoding refuses a body that is not encoded as it says.
func checkEncoding(encoding string, src *bufio.Reader) error {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	magic, known := magics[encoding]
	switch {
	case encoding == "" || encoding == "identity":
		return nil
	case !known:
		return newProblem(http.StatusUnsupportedMediaType, "The Content-Encoding must be gzip or zstd, or none.")
	}
	head, err := src.Peek(len(magic))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(head) != magic {
		return badField("Content-Encoding", "is "+encoding+", and the body does not begin so")
	}
	return nil
}

// processTransactions reads a JSON object: the transactions as data, and
// settings before and after them.
func processTransactions(t *taking) error {
	in := transaction.NewBody(t.body)
	for {
		key, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case key == "data" && t.stored:
			return badField(key, "must be given once")
		case key == "data":
			err = t.store(io.MultiReader(strings.NewReader(transaction.Header), in.Rows(0)))
		case slices.Contains(configKeys, key):
			err = t.setText(key, in)
		default:
			err = in.Skip()
		}
		if err != nil {
			return err
		}
	}
	if !t.stored {
		return badField("data", "is missing")
	}
	return nil
}

// setText is set with a member of a body.
func (t *taking) setText(key string, in *transaction.Body) error {
	text, err := textOf(key, in)
	if err != nil {
		return err
	}
	return t.set(key, text)
}

func textOf(key string, in *transaction.Body) (string, error) {
	text, err := in.Text(maxConfigBytes)
	if errors.Is(err, transaction.ErrTooLong) {
		err = badField(key, "is longer than 64 KiB")
	}
	return string(text), err
}

// multipartOf returns the parts of a body, which may be sent chunked.
func multipartOf(t *taking) (*multipart.Reader, error) {
	media, params, err := mime.ParseMediaType(t.c.Request().Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, newProblem(http.StatusUnsupportedMediaType, "The Content-Type must be multipart/form-data, with its boundary.")
	}
	return multipart.NewReader(t.body, params["boundary"]), nil
}
