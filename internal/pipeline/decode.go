package pipeline

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

const utf8Name = "utf-8"

// decode returns the text of r in UTF-8, and the name of its encoding: that of
// a byte order mark, else label, else UTF-16 if its zero bytes show it, else
// UTF-8, which is passed through as it is.
func decode(r *bufio.Reader, label string) (io.Reader, string, error) {
	head, _ := r.Peek(headBytes) // an error is met again by the next read
	name := markOf(head)
	if name == "" {
		name = label
	}
	if name == "" {
		name = zerosOf(head)
	}
	enc, name, ok := lookup(name)
	if !ok {
		return nil, "", &SettingError{Key: KeyParse, Field: "encoding", Detail: "is not known"}
	}
	if enc == nil {
		return r, name, nil
	}
	return transform.NewReader(r, transform.Chain(enc.NewDecoder(), undecoded{})), name, nil
}

// marks are the byte order marks; UTF-32's begins as UTF-16's does.
var marks = [...]struct{ name, mark string }{
	{"utf-32le", "\xff\xfe\x00\x00"},
	{"utf-32be", "\x00\x00\xfe\xff"},
	{"utf-16le", "\xff\xfe"},
	{"utf-16be", "\xfe\xff"},
	{utf8Name, "\xef\xbb\xbf"},
}

func markOf(head []byte) string {
	for _, m := range marks {
		if bytes.HasPrefix(head, []byte(m.mark)) {
			return m.name
		}
	}
	return ""
}

// zerosOf finds UTF-16 without a mark: digits, separators and line ends have a
// zero in one half, always the same, and no byte of text is zero in the other.
// An eighth of the characters is less than any table of amounts has.
func zerosOf(head []byte) string {
	pairs := len(head) / 2
	var even, odd int
	for i := range pairs {
		if head[2*i] == 0 {
			even++
		}
		if head[2*i+1] == 0 {
			odd++
		}
	}
	switch {
	case even == 0 && odd > pairs/8:
		return "utf-16le"
	case odd == 0 && even > pairs/8:
		return "utf-16be"
	default:
		return utf8Name
	}
}

// lookup finds an encoding by any of its usual names. UTF-8 is nil: it is not
// decoded, so that the parser sees what is wrong with it.
func lookup(label string) (enc encoding.Encoding, name string, ok bool) {
	label = strings.ToLower(strings.TrimSpace(label))
	switch label {
	case "", utf8Name, "utf8":
		return nil, utf8Name, true
	case "utf-16", "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16le", true
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), label, true
	case "utf-32", "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), "utf-32le", true
	case "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM), label, true
	}
	if enc, err := htmlindex.Get(label); err == nil {
		name, err = htmlindex.Name(enc)
		return enc, name, err == nil && enc != encoding.Replacement
	}
	// The WHATWG leaves out the code pages of DOS, which banks do not.
	enc, err := ianaindex.IANA.Encoding(label)
	return enc, label, err == nil && enc != nil
}

// undecoded makes what a decoder could not read invalid in UTF-8 too. Decoders
// put U+FFFD in its place, which to the parser is a letter like any other: two
// account ids that differ only there would become one account.
type undecoded struct{ transform.NopResetter }

const replacement = "\uFFFD"

func (undecoded) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		in := src[nSrc:]
		switch n := bytes.IndexByte(in, replacement[0]); {
		case n > 0:
			in = in[:n]
		case n < 0:
		case len(in) < len(replacement) && !atEOF:
			return nDst, nSrc, transform.ErrShortSrc
		case bytes.HasPrefix(in, []byte(replacement)):
			dst[nDst] = 0xff
			nDst, nSrc = nDst+1, nSrc+len(replacement)
			continue
		default:
			in = in[:1]
		}
		n := copy(dst[nDst:], in)
		nDst, nSrc = nDst+n, nSrc+n
	}
	return nDst, nSrc, nil
}
