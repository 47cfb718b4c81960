package parser

import "fmt"

// Code names why a whole file fails. Callers branch on it, never on a text.
type Code string

// The codes of a FileError.
const (
	EmptyFile         Code = "empty_file"         // no byte but blank lines
	Binary            Code = "binary"             // not text: a workbook, an image, NUL bytes …
	MissingColumn     Code = "missing_column"     // a needed column has no place in the file
	DuplicateColumn   Code = "duplicate_column"   // a needed column has two
	TooManyColumns    Code = "too_many_columns"   // the header is wider than 16,384
	AmbiguousDate     Code = "ambiguous_date"     // two date forms read every date; date_format must say which
	UnterminatedQuote Code = "unterminated_quote" // a quote is still open at the end
	TooManyRejects    Code = "too_many_rejects"   // past Config.OnError
	NoValidRows       Code = "no_valid_rows"      // rows, and not one of them valid
)

// FileError says why a file as a whole cannot be taken.
type FileError struct {
	Code   Code
	Detail string // one sentence for the file's owner; quotes names of the header, or what stood where one was looked for
	Line   int64  // 1-based line the sentence is about; 0 where it is about none
}

func (e *FileError) Error() string { return string(e.Code) + ": " + e.Detail }

func fileErrorf(code Code, line int64, format string, args ...any) *FileError {
	return &FileError{Code: code, Line: line, Detail: fmt.Sprintf(format, args...)}
}

// ConfigError says which setting is wrong.
type ConfigError struct {
	Field  string // the JSON path, such as "columns.date"; "" when the text is no JSON object
	Detail string // what is wrong with it, for the one who wrote it
}

func (e *ConfigError) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

func configErrorf(field, format string, args ...any) *ConfigError {
	return &ConfigError{Field: field, Detail: fmt.Sprintf(format, args...)}
}
