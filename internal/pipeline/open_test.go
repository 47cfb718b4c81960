package pipeline_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/pipeline"
	"sluice/parser"
)

const (
	plainCSV  = "account_id,date,amount\nA,2024-01-05,10.00\nB,2024-01-06,-2.50\n"
	plainSums = "A 2024-01-05 1000 1000 1\nB 2024-01-06 -250 0 1"
)

func gzipped(t testing.TB, parts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&out)
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func zstandard(t testing.TB, parts ...string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var out []byte
	for _, part := range parts {
		out = w.EncodeAll([]byte(part), out)
	}
	return out
}

func utf16Text(order binary.AppendByteOrder, text string) (out []byte) {
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func utf32Text(order binary.AppendByteOrder, text string) (out []byte) {
	for _, r := range text {
		out = order.AppendUint32(out, uint32(r))
	}
	return out
}

func TestReadsEveryForm(t *testing.T) {
	t.Parallel()
	skippable := append([]byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"), zstandard(t, plainCSV)...)
	for name, c := range map[string]struct {
		file                         []byte
		parse, compression, encoding string
	}{
		"plain":                {file: []byte(plainCSV)},
		"utf-8 mark":           {file: []byte("\xef\xbb\xbf" + plainCSV)},
		"utf-8 by name":        {file: []byte(plainCSV), parse: `{"encoding":"UTF8"}`},
		"gzip":                 {file: gzipped(t, plainCSV), compression: "gzip"},
		"gzip members":         {file: gzipped(t, plainCSV[:30], "", plainCSV[30:]), compression: "gzip"},
		"zstd":                 {file: zstandard(t, plainCSV), compression: "zstd"},
		"zstd frames":          {file: zstandard(t, plainCSV[:30], plainCSV[30:]), compression: "zstd"},
		"zstd skippable":       {file: skippable, compression: "zstd"},
		"utf-16le mark":        {file: utf16Text(binary.LittleEndian, "\ufeff"+plainCSV), encoding: "utf-16le"},
		"utf-16be mark":        {file: utf16Text(binary.BigEndian, "\ufeff"+plainCSV), encoding: "utf-16be"},
		"utf-16le":             {file: utf16Text(binary.LittleEndian, plainCSV), encoding: "utf-16le"},
		"utf-16be":             {file: utf16Text(binary.BigEndian, plainCSV), encoding: "utf-16be"},
		"utf-16be by name":     {file: utf16Text(binary.BigEndian, plainCSV), parse: `{"encoding":"utf-16be"}`, encoding: "utf-16be"},
		"utf-32le mark":        {file: utf32Text(binary.LittleEndian, "\ufeff"+plainCSV), encoding: "utf-32le"},
		"utf-32be mark":        {file: utf32Text(binary.BigEndian, "\ufeff"+plainCSV), encoding: "utf-32be"},
		"utf-32be by name":     {file: utf32Text(binary.BigEndian, plainCSV), parse: `{"encoding":"utf-32be"}`, encoding: "utf-32be"},
		"gzip of utf-16":       {file: gzipped(t, string(utf16Text(binary.LittleEndian, "\ufeff"+plainCSV))), compression: "gzip", encoding: "utf-16le"},
		"a mark wins":          {file: utf16Text(binary.LittleEndian, "\ufeff"+plainCSV), parse: `{"encoding":"windows-1252"}`, encoding: "utf-16le"},
		"windows-1252 by name": {file: []byte(plainCSV), parse: `{"encoding":"windows-1252"}`, encoding: "windows-1252"},
	} {
		o := job{file: c.file, parse: c.parse}.run(t)
		if c.encoding == "" {
			c.encoding = "utf-8"
		}
		if o.err != nil || o.sums() != plainSums || o.Compression != c.compression || o.Encoding != c.encoding {
			t.Errorf("%s: %v, %q, %q, sums\n%s", name, o.err, o.Compression, o.Encoding, o.sums())
		}
		if o.Source.SizeBytes != int64(len(c.file)) {
			t.Errorf("%s: read %d of %d bytes", name, o.Source.SizeBytes, len(c.file))
		}
	}
}

func TestTextOfOtherEncodings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ account, encoding, want string }{
		"windows-1252":         {"Caf\xe9\x80", "windows-1252", "Café€"},
		"iso-8859-1":           {"Caf\xe9", "iso-8859-1", "Café"},
		"windows-1251":         {"\xd1\xf7\xb8\xf2", "windows-1251", "Счёт"},
		"a code page of DOS":   {"\x82", "cp850", "é"},
		"shift_jis":            {"\x8c\xfb\x8d\xc0", "shift_jis", "口座"},
		"what utf-8 begins so": {"\xef\xbc\xa1", "utf-8", "Ａ"},
	} {
		o := job{file: lines("account_id,date,amount", c.account+",2024-01-05,1"), parse: `{"encoding":"` + c.encoding + `"}`}.run(t)
		if o.err != nil || len(o.aggregates) != 1 || o.aggregates[0].AccountID != c.want {
			t.Errorf("%s: %v, %q", name, o.err, o.sums())
		}
	}
	text := "счёт и баланс,дата,сумма\n" + strings.Repeat("Иван Иванович Ёлкин,2024-01-05,1.00\n", 3)
	parse := `{"columns":{"account_id":"счёт и баланс","date":"дата","amount":"сумма"}}`
	o := job{file: utf16Text(binary.LittleEndian, text), parse: parse}.run(t)
	if o.err != nil || o.sums() != "Иван Иванович Ёлкин 2024-01-05 300 300 3" {
		t.Errorf("Cyrillic in UTF-16 without a mark: %v, %q", o.err, o.sums())
	}
}

// TestDecodesAcrossBuffers puts what cannot be decoded at every place of the
// decoder's buffers.
func TestDecodesAcrossBuffers(t *testing.T) {
	t.Parallel()
	const rows = 4000
	file := utf16Text(binary.LittleEndian, "\ufeffaccount_id,date,amount\n")
	for i := range rows {
		file = append(file, utf16Text(binary.LittleEndian, strings.Repeat("é", i%11)+strings.Repeat("ａ", i%7))...)
		if i%2 == 0 {
			file = binary.LittleEndian.AppendUint16(file, 0xd800)
		}
		file = append(file, utf16Text(binary.LittleEndian, "a,2024-01-05,1\n")...)
	}
	o := job{file: file}.run(t)
	if o.err != nil || o.Accepted != rows/2 || o.ByReason[parser.InvalidUTF8] != rows/2 || o.Accounts != 77 {
		t.Errorf("%v, %d accepted of %d accounts, rejects %v", o.err, o.Accepted, o.Accounts, o.ByReason)
	}
}

// TestOneZeroIsNotUTF16 holds that a damaged row costs no more than itself.
func TestOneZeroIsNotUTF16(t *testing.T) {
	t.Parallel()
	o := job{file: lines("account_id,date,amount", "A,2024-01-05,1", "A\x00B,2024-01-05,1")}.run(t)
	if o.err != nil || o.Accepted != 1 || o.ByReason[parser.NULByte] != 1 || o.Encoding != "utf-8" {
		t.Errorf("%v, %d accepted, rejects %v", o.err, o.Accepted, o.ByReason)
	}
}

// TestUndecodableIsRejected holds that ids which no decoder can tell apart are
// rejected rather than booked as one.
func TestUndecodableIsRejected(t *testing.T) {
	t.Parallel()
	lone := utf16Text(binary.LittleEndian, "\ufeffaccount_id,date,amount\nA,2024-01-05,1\n")
	for _, surrogate := range []uint16{0xd800, 0xdfff} {
		lone = binary.LittleEndian.AppendUint16(lone, surrogate)
		lone = append(lone, utf16Text(binary.LittleEndian, ",2024-01-05,1\n")...)
	}
	for name, j := range map[string]job{
		"lone surrogates":     {file: lone},
		"holes of code page":  {file: lines("account_id,date,amount", "A,2024-01-05,1", "\xaa,2024-01-05,1", "\xd2,2024-01-05,1"), parse: `{"encoding":"windows-1253"}`},
		"windows-1252 unsaid": {file: lines("account_id,date,amount", "A,2024-01-05,1", "\xe9,2024-01-05,1", "\xe8,2024-01-05,1")},
	} {
		o := j.run(t)
		if o.err != nil || o.sums() != "A 2024-01-05 100 100 1" || o.ByReason[parser.InvalidUTF8] != 2 {
			t.Errorf("%s: %v, %q, rejects %v", name, o.err, o.sums(), o.ByReason)
		}
	}
}

func TestRefusesBadCompression(t *testing.T) {
	t.Parallel()
	flipped := func(file []byte, at int) []byte {
		file = bytes.Clone(file)
		file[(at+len(file))%len(file)] ^= 1
		return file
	}
	// Blank lines, which the parser skips: a mebibyte, and a little over 64.
	header, blank := "account_id,date,amount\n", strings.Repeat("\n", 1<<20)
	swollen := func(compress func(testing.TB, ...string) []byte, mebibytes int) []byte {
		return append(compress(t, header), bytes.Repeat(compress(t, blank), mebibytes)...)
	}
	// A frame whose window is 64 MiB, of one empty last block (RFC 8878, 3.1.1).
	window := []byte("\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00")
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"gzip checksum":      {flipped(gzipped(t, plainCSV), -8), pipeline.CodeBadCompression},
		"gzip length":        {flipped(gzipped(t, plainCSV), -1), pipeline.CodeBadCompression},
		"gzip header":        {[]byte("\x1f\x8b\x07 and so on, and on"), pipeline.CodeBadCompression},
		"gzip and more":      {append(gzipped(t, plainCSV), "more"...), pipeline.CodeBadCompression},
		"zstd checksum":      {flipped(zstandard(t, plainCSV), -1), pipeline.CodeBadCompression},
		"zstd window":        {window, pipeline.CodeBadCompression},
		"gzip bomb":          {swollen(gzipped, 65), pipeline.CodeBadCompression},
		"zstd bomb":          {swollen(zstandard, 65), pipeline.CodeBadCompression},
		"gzip in gzip":       {gzipped(t, string(gzipped(t, plainCSV))), pipeline.CodeCompressed},
		"zstd in gzip":       {gzipped(t, string(zstandard(t, plainCSV))), pipeline.CodeCompressed},
		"gzip in zstd":       {zstandard(t, string(gzipped(t, plainCSV))), pipeline.CodeCompressed},
		"bzip2":              {[]byte("BZh91AY&SY\x8b\xf0\x02"), string(parser.Binary)},
		"xz":                 {[]byte("\xfd7zXZ\x00\x00\x04"), pipeline.CodeCompressed},
		"gzip of no bytes":   {gzipped(t, ""), string(parser.EmptyFile)},
		"ratio of few bytes": {swollen(gzipped, 8), ""},
	} {
		if o := (job{file: c.file}).run(t); o.code() != c.code {
			t.Errorf("%s: %q, want %q", name, o.code(), c.code)
		}
	}
}

func TestRefusesWhatIsCutOff(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{"gzip": gzipped(t, plainCSV), "zstd": zstandard(t, plainCSV)} {
		for n := 4; n < len(file); n++ {
			if o := (job{file: file[:n]}).run(t); o.code() != pipeline.CodeBadCompression {
				t.Errorf("%s cut to %d of %d bytes: %q", name, n, len(file), o.code())
			}
		}
	}
}

func TestRefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 100)
	for name, head := range map[string]string{
		"xlsx": "PK\x03\x04\x14\x00\x06\x00\x08\x00", "pdf": "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
		"png": "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "elf": "\x7fELF\x02\x01\x01\x00", "zeros": zeros,
	} {
		for form, file := range map[string][]byte{"": []byte(head + zeros), " in gzip": gzipped(t, head+zeros)} {
			if o := (job{file: file}).run(t); o.code() != string(parser.Binary) {
				t.Errorf("%s%s: %q", name, form, o.code())
			}
		}
	}
	if o := (job{}).run(t); o.code() != string(parser.EmptyFile) {
		t.Errorf("no bytes: %q", o.code())
	}
	if o := (job{file: lines("a,b,c", "1,2,3")}).run(t); o.code() != string(parser.MissingColumn) {
		t.Errorf("other columns: %q", o.code())
	}
}

// TestErrorOfTheSource holds that a broken read is no fault of the file's,
// wherever it breaks and whatever decoder it breaks.
func TestErrorOfTheSource(t *testing.T) {
	t.Parallel()
	errTorn := errors.New("torn")
	for name, file := range map[string][]byte{
		"plain": []byte(plainCSV), "gzip": gzipped(t, plainCSV), "zstd": zstandard(t, plainCSV), "utf-16": utf16Text(binary.LittleEndian, plainCSV),
	} {
		for n := range len(file) + 1 {
			in := job{file: file}.input(t)
			in.Source = io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(errTorn))
			_, err := pipeline.Run(t.Context(), in, pipeline.Sinks{})
			if f := (*pipeline.Failure)(nil); !errors.Is(err, errTorn) || errors.As(err, &f) {
				t.Errorf("%s torn at %d of %d: %v", name, n, len(file), err)
			}
		}
	}
}

func TestAnySizeOfReads(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"plain": []byte(plainCSV), "gzip": gzipped(t, plainCSV), "zstd": zstandard(t, plainCSV), "utf-16": utf16Text(binary.BigEndian, plainCSV),
	} {
		in := job{file: file}.input(t)
		in.Source = iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(file)))
		if result, err := pipeline.Run(t.Context(), in, pipeline.Sinks{}); err != nil || result.Accepted != 2 {
			t.Errorf("%s byte by byte: %v", name, err)
		}
	}
}
