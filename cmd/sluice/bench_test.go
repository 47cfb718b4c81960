package main_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkWholePath sends files to the real binary and waits for their offers:
// what the README quotes. The time per operation is that from the last byte,
// acknowledged, to offers that can be read. In the grouped files 97 accounts
// repeat; in the scattered ones 2,000 or 20,000 accounts move on any day of two
// years, so that almost every row of the larger one is a sum of its own.
func BenchmarkWholePath(b *testing.B) {
	for _, c := range []struct{ rows, accounts int }{{96_000, 0}, {96_000, 2000}, {1_000_000, 0}, {1_000_000, 20_000}} {
		rows, shape := c.rows, "grouped"
		if c.accounts > 0 {
			shape = "scattered"
		}
		b.Run(fmt.Sprintf("%s/rows=%d", shape, rows), func(b *testing.B) {
			file := newSample(b, rows)
			if c.accounts > 0 {
				file = scattered(b, rows, c.accounts)
			}
			s := serve(b, stackEnv(b), "127.0.0.1:0")
			var waiting, all time.Duration
			for b.Loop() {
				begun := time.Now()
				id := s.send(b, file)
				acknowledged := time.Now()
				eventually(b, "the offers", func(context.Context) bool { return s.status(b, id).State == "JOB_COMPLETE" })
				waiting, all = waiting+time.Since(acknowledged), all+time.Since(begun)
			}
			peak := s.stop(b)
			usage := s.cmd.ProcessState.SysUsage().(*syscall.Rusage)
			cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(waiting.Seconds()*1e3/float64(b.N), "ms-to-offers/op")
			b.ReportMetric(float64(rows)*float64(b.N)/all.Seconds(), "rows/s")
			b.ReportMetric(cpu.Seconds()*1e3/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		})
	}
}

func scattered(b *testing.B, rows, accounts int) sample {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2)) // the same rows in every run
	return makeSample(b, rows, func(int) string {
		day := time.Date(2023, 1, 1+random.IntN(730), 0, 0, 0, 0, time.UTC)
		return fmt.Sprintf("ACC%06d,%s", random.IntN(accounts), day.Format(time.DateOnly))
	})
}

// send uploads the file in one request and returns its job's id.
func (s *server) send(b *testing.B, f sample) string {
	b.Helper()
	body, err := os.Open(f.path)
	if err != nil {
		b.Fatal(err)
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url+"/files/", body)
	if err != nil {
		b.Fatal(err)
	}
	req.ContentLength = f.size
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", fmt.Sprint(f.size))
	req.Header.Set("Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte("sample.csv")))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != fmt.Sprint(f.size) {
		b.Fatalf("upload: %s at offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
	}
	location := resp.Header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:]
}
