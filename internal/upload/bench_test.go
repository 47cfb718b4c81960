package upload_test

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"sluice/internal/upload"
)

// BenchmarkWrite stores 64 MiB as one PATCH and as PATCHes of 8 MiB, from memory (what the store itself costs) and from
// a TCP connection of this process (with what sending to it and receiving from it cost). S3 and Postgres are processes
// of their own and not in the CPU time that it reports.
func BenchmarkWrite(b *testing.B) {
	const size = 64 << 20
	file := random(1, size)
	for name, open := range map[string]func(testing.TB, []byte) io.Reader{
		"memory": func(_ testing.TB, p []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(p)} },
		"tcp":    overTCP,
	} {
		for piece, step := range map[string]int{"whole": size, "8MiB": 8 << 20} {
			b.Run(name+"/"+piece, func(b *testing.B) {
				w := newWorld(b, func(c *upload.Config) { c.PartBytes = 8 << 20 })
				b.SetBytes(size)
				begin := cpu(b)
				for b.Loop() {
					id := w.create(size)
					for at := 0; at < size; at += step {
						_, err := w.patch(w.store, id, int64(at), open(b, file[at:at+step]))
						w.must(err)
					}
				}
				b.ReportMetric((cpu(b)-begin).Seconds()/float64(b.N)*(1<<30)/size, "cpu-s/GiB")
			})
		}
	}
}

// overTCP returns a connection on which p arrives.
func overTCP(t testing.TB, p []byte) io.Reader {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return
		}
		_, _ = conn.Write(p)
		conn.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// cpu returns the CPU time that this process has used.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
