package blob_test

import (
	"io"
	"net"
	"testing"
)

// cutter is a proxy to address which breaks each of its first connections after as many bytes of the answer as limits
// says, and passes the rest on. It returns its own address.
func cutter(t *testing.T, address string, limits ...int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			limit := int64(1) << 60
			if len(limits) > 0 {
				limit, limits = limits[0], limits[1:]
			}
			go cut(client, address, limit)
		}
	}()
	return listener.Addr().String()
}

func cut(client net.Conn, address string, limit int64) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.CopyN(client, server, limit)
}
