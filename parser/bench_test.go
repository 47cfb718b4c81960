package parser_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"sluice/parser"
)

// transactions makes a file of so many rows of the usual shape, a tenth of
// them with a quoted text.
func transactions(rows int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString("account_id,date,amount,description,is_revenue\n")
	for range rows {
		text := "card payment, POS"
		if rng.IntN(10) > 0 {
			text = "card payment POS"
		} else {
			text = `"` + text + ` ""x"""`
		}
		fmt.Fprintf(&b, "ACC-%08d,2024-%02d-%02d,%d.%02d,%s,\n", rng.IntN(20_000), 1+rng.IntN(12), 1+rng.IntN(28),
			rng.IntN(20_000)-10_000, rng.IntN(100), text)
	}
	return b.Bytes()
}

func BenchmarkRead(b *testing.B) {
	for _, file := range realFiles {
		text, err := io.ReadAll(sharedData(b, file.file))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(file.name, func(b *testing.B) { benchmarkRead(b, text, config(b, file.config)) })
	}
	text := transactions(200_000)
	b.Run("generated", func(b *testing.B) { benchmarkRead(b, text, config(b, "")) })
}

func benchmarkRead(b *testing.B, text []byte, cfg parser.Config) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	batch := make([]parser.Record, 512)
	for b.Loop() {
		r, err := parser.NewReader(bytes.NewReader(text), cfg)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Read(batch)
		}
		if !errors.Is(err, io.EOF) || r.Stats().Rejected > 0 {
			b.Fatal(err, r.Stats())
		}
	}
}

// BenchmarkEncodingCSV only cuts the same bytes into fields: no value is read.
func BenchmarkEncodingCSV(b *testing.B) {
	text := transactions(200_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(text))
		r.ReuseRecord = true
		var err error
		for err == nil {
			_, err = r.Read()
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}
