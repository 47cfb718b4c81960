package parser

import "bytes"

// What looksLike says of text that is not CSV.
const (
	kindJSON   = "JSON"
	kindMarkup = "XML or HTML"
)

// looksLike names the kind of file that data begins, where it is none that
// could be read; "" says that it may be CSV. The magic numbers are those of
// file(1).
func looksLike(data []byte) string {
	for _, m := range []struct{ magic, kind string }{
		{"PK\x03\x04", "an Excel workbook or another zip file"},
		{"\xd0\xcf\x11\xe0", "an old Excel workbook"},
		{"%PDF-", "a PDF"},
		{"\x89PNG", "a PNG image"},
		{"\xff\xd8\xff", "a JPEG image"},
		{"GIF8", "a GIF image"},
		{"\x7fELF", "a program (ELF)"},
		{"MZ", "a Windows program"},
		{"\x1f\x8b", "gzip"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"BZh", "bzip2"},
		{"\xfd7zXZ", "xz"},
		{"7z\xbc\xaf", "a 7-Zip file"},
		{"Rar!", "a RAR file"},
		{"PAR1", "Parquet"},
		{"SQLite format 3", "an SQLite database"},
		{"\xff\xfe", "UTF-16 text"},
		{"\xfe\xff", "UTF-16 text"},
	} {
		if bytes.HasPrefix(data, []byte(m.magic)) {
			return m.kind
		}
	}
	// Text holds no NUL. One in sixteen is far below UTF-16's one in two and
	// far above what a damaged row leaves behind.
	if n := bytes.Count(data, []byte{0}); n > len(data)/16 {
		return "binary data, full of NUL bytes"
	}
	switch text := trim(data); {
	case bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("[")):
		return kindJSON
	case bytes.HasPrefix(text, []byte("<")):
		return kindMarkup
	}
	return ""
}

// isTextKind reports whether a kind is text, of which a columns' names were
// looked for in good faith.
func isTextKind(kind string) bool { return kind == kindJSON || kind == kindMarkup }
