package parser_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"sluice/parser"
)

const strip = 4096 // bytes in which a broken rule ends an index

// indexByte is parser.IndexOf a byte at a time.
func indexByte(text []byte, delimiter byte, from, between int) parser.Index {
	type state struct {
		parser.Index
		at string // what the last bytes were
	}
	now := state{at: "start"}
	saved := now
	for i := from; i < len(text); i++ {
		begin := from
		if i >= between {
			begin = between
		}
		if (i-begin)%strip == 0 {
			saved = now
			saved.Inside, saved.Clean = now.at == "quotes", i
		}
		c := text[i]
		if c == '\n' {
			now.Lines++
		}
		switch {
		case now.at == "quotes" && c == '"':
			now.at = "closed"
		case now.at == "quotes":
			if c == '\n' {
				now.Inner = append(now.Inner, uint32(i))
			}
		case c == '\n':
			now.Ends, now.at = append(now.Ends, uint32(i)<<1|1), "start"
		case now.at == "closed CR":
			return saved.Index
		case c == delimiter:
			now.Ends, now.at = append(now.Ends, uint32(i)<<1), "start"
		case c == '"' && (now.at == "start" || now.at == "closed"):
			now.at = "quotes"
		case c == '"':
			return saved.Index
		case now.at == "closed" && c == '\r':
			now.at = "closed CR"
		case now.at == "closed":
			return saved.Index
		default:
			now.at = "bare"
		}
	}
	now.Inside, now.Clean = now.at == "quotes", len(text)
	return now.Index
}

// checkIndex holds every kernel against indexByte. Around the text lie quotes,
// which none may see.
func checkIndex(t *testing.T, text []byte, delimiter byte, from, between int) {
	t.Helper()
	want := indexByte(text, delimiter, from, between)
	around := append(append([]byte(`"""`), text...), `"""`...)
	padded := around[3 : 3+len(text)]
	for name, kernel := range parser.Kernels() {
		got := parser.IndexOf(kernel, padded, delimiter, from, between)
		got.Ends, got.Inner = append([]uint32(nil), got.Ends...), append([]uint32(nil), got.Inner...)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %q from %d, between %d\n got %+v\nwant %+v", name, text, from, between, got, want)
		}
	}
}

func FuzzIndex(f *testing.F) {
	for _, text := range []string{
		"", "\n", "a,b\r\n", "\"a\"\r\n\"b\"\"\",\"\n\"\n", "\"a\"\rb", "a\"b", "\"a\"b\n", `""""`, "\"a\"\r\"", "\"\"\"", "\"a\",\"b\nc\r\n",
	} {
		f.Add([]byte(text), byte(','), uint8(0), uint16(0), uint16(1))
		f.Add([]byte(text), byte(';'), uint8(1), uint16(7), uint16(999))
	}
	f.Fuzz(func(t *testing.T, piece []byte, delimiter byte, from uint8, between, length uint16) {
		if delimiter == 0 || delimiter == '"' || delimiter == '\r' || delimiter == '\n' || len(piece) == 0 {
			return
		}
		text := bytes.Repeat(piece, 1+int(length)%(2*strip)/len(piece)) // so that there are whole blocks and strips
		begin := int(from) % (len(text) + 1)
		checkIndex(t, text, delimiter, begin, begin+int(between)%(len(text)-begin+1))
	})
}

// TestIndex indexes text of which every byte has a meaning, and text in which
// quotes keep to the rules over several strips.
func TestIndex(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		text := make([]byte, rng.IntN(400))
		for i := range text {
			text[i] = "\"\"\",,\n\r\na;"[rng.IntN(10)]
		}
		from := rng.IntN(len(text) + 1)
		checkIndex(t, text, ',', from, from+rng.IntN(len(text)-from+1))
	}
	fields := []string{"", "a", `""`, `"a,b"`, `"a""b"`, "\"a\n\r\n\"", "a longer text of some words", `""""""`}
	for range 100 {
		var text []byte
		for len(text) < 3*strip {
			text = fmt.Appendf(text, "%s%s", fields[rng.IntN(len(fields))], []string{",", ",", "\n", "\r\n"}[rng.IntN(4)])
		}
		if rng.IntN(3) == 0 {
			text[rng.IntN(len(text))] = '"'
		}
		checkIndex(t, text, ',', 0, rng.IntN(len(text)))
	}
}

// FuzzPlain holds the short ways to read a value against the long ones.
func FuzzPlain(f *testing.F) {
	for _, text := range []string{
		"1.00", "-12345.67", "0.1", "+1.00", "-.00", "1..0", "123456.00", "-0.00", "1,00", "9999.9:", "/9.00", "12.\xb41", "\xff1.00",
		"2024-02-29", "2023-02-29", "0000-01-01", "9999-12-31", "2024-1-011", "2024-01-00", "2024-01-1:", "2024_01-01", "\x00\x00\x00\x00\x00\x00\x00\x0001",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b := append(make([]byte, 0, len(text)+64), text...)
		for _, decimal := range []byte(".,") {
			short, ok := parser.ShortAmount(b, decimal)
			if long, right := parser.LongAmount(b, decimal); ok && (!right || short != long) {
				t.Errorf("%q: %d in short, %d and %t at length", b, short, long, right)
			}
		}
		short, ok := parser.ShortDate(b)
		if long, right := parser.LongDate(b); ok && (!right || short != long) {
			t.Errorf("%q: day %d in short, %d and %t at length", b, short, long, right)
		}
	})
}

// TestShortWays takes care that the short ways are taken.
func TestShortWays(t *testing.T) {
	t.Parallel()
	room := func(s string) []byte { return append(make([]byte, 0, 64), s...) }
	for text, want := range map[string]int64{"0.00": 0, "1.05": 105, "-1.05": -105, "12.34": 1234, "-99999.99": -9_999_999, "12345.67": 1_234_567} {
		if got, ok := parser.ShortAmount(room(text), '.'); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	for text, want := range map[string]int32{"1970-01-01": 0, "2024-02-29": 19_782, "1969-12-31": -1, "9999-12-31": 2_932_896} {
		if got, ok := parser.ShortDate([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	text := transactions(4_000)
	for name, kernel := range parser.Kernels() {
		b.Run(name, func(b *testing.B) {
			index := parser.Indexer(kernel, ',')
			index(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				index(text)
			}
		})
	}
}
