package pipeline

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"sluice/internal/transaction"
)

// CodeBadJSON is the code of a Failure: an array of transactions that is no JSON.
const CodeBadJSON = "bad_json"

// rowsOf returns transactions that are written as JSON, one a line or as an array, as rows of CSV, and any other text as
// it is. No table begins as they do.
func rowsOf(r io.Reader) io.Reader {
	text := bufio.NewReaderSize(r, bufBytes)
	head, _ := text.Peek(headBytes) // an error is met again by the next read
	const blanks = " \t\r\n"
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), blanks)
	if len(head) == 0 {
		return text
	}
	inner := bytes.TrimLeft(head[1:], blanks)
	var rows io.Reader
	switch {
	case len(inner) == 0:
		return text
	case head[0] == '{' && strings.IndexByte("\"}", inner[0]) >= 0:
		rows = transaction.NewLines(unmarked(text), 0)
	case head[0] == '[' && strings.IndexByte("{]", inner[0]) >= 0:
		rows = transaction.NewArray(unmarked(text), 0)
	default:
		return text
	}
	return io.MultiReader(strings.NewReader(transaction.Header), blamed{rows})
}

// unmarked is the text without its byte order mark.
func unmarked(text *bufio.Reader) io.Reader {
	if head, _ := text.Peek(3); string(head) == "\xef\xbb\xbf" {
		_, _ = text.Discard(len(head)) // they are in the buffer
	}
	return text
}

// blamed makes an error of the JSON the file's failure.
type blamed struct{ io.Reader }

// Read implements io.Reader.
func (b blamed) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if syntax, ok := errors.AsType[*transaction.SyntaxError](err); ok {
		err = fail(CodeBadJSON, "the file is not the JSON array that it begins as: %s", syntax)
	}
	return n, err
}
