package pipeline

import "fmt"

// Codes of a Failure, beside those of parser.Code.
const (
	CodeBadCompression = "bad_compression" // truncated, damaged, or inflates beyond all measure
	CodeCompressed     = "compressed"      // compressed twice, or in a way that is not read
	CodeDigestMismatch = "digest_mismatch" // the bytes are not those that were sent
)

// Failure says why a file cannot be processed, in words its owner can act on.
type Failure struct {
	Code     string // a code above, or a parser.Code
	Message  string // one clause, for people, as "the file is empty"; it may quote header names, never a row
	CanRetry bool   // the same bytes may succeed when they are read again
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

func fail(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}
