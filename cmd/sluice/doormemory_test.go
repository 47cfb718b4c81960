package main_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
)

// doorMemory is what a gateway may hold over idle for one file, however large.
const doorMemory = 128 << 20

// TestDoorsHoldLittle sends a large file by each of the doors that take it in one
// request: the gateway holds little of it, and one that is too large is refused.
// By itself the file has 256 MiB; SLUICE_DOOR_BYTES makes it larger.
func TestDoorsHoldLittle(t *testing.T) {
	size := int64(256 << 20)
	if long := os.Getenv("SLUICE_DOOR_BYTES"); long != "" {
		size = atoi(t, long)
	}
	env := append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0")
	for _, c := range []struct {
		name, path, setting string
		body                func() (media string, body io.Reader)
		status              int
	}{
		{"stream-upload", "stream-upload/", "", func() (string, io.Reader) { return "text/csv", newHugeFile(size) }, http.StatusAccepted},
		{"upload-file", "upload-file/", "", func() (string, io.Reader) { return formOf(t, newHugeFile(size)) }, http.StatusAccepted},
		{"process-transactions", "process-transactions/", "SLUICE_JSON_MAX_BYTES=1TiB", func() (string, io.Reader) { return "application/json", hugeJSON(size) }, http.StatusAccepted},
		{
			"process-transactions, too large", "process-transactions/", fmt.Sprint("SLUICE_JSON_MAX_BYTES=", size/8),
			func() (string, io.Reader) { return "application/json", hugeJSON(size) }, http.StatusRequestEntityTooLarge,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := launch(t, command(t, append(env, c.setting), "serve"))
			idle := s.memory(t, "VmRSS:")
			media, body := c.body()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+oldDoors+c.path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", media)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); resp.StatusCode != c.status || err != nil {
				t.Fatalf("%s, %v: %s", resp.Status, err, text)
			}
			over := s.memory(t, "VmHWM:") - idle
			t.Logf("%d MiB: at most %d MiB over the %d MiB of an idle gateway", size>>20, over>>20, idle>>20)
			if over > doorMemory {
				t.Errorf("more than %d MiB over idle", doorMemory>>20)
			}
			s.stop(t)
		})
	}
}

// memory is a line of the process's status in bytes: VmRSS now, VmHWM at most.
func (s *server) memory(t testing.TB, line string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), line)
	return atoi(t, strings.Fields(after)[0]) << 10
}

// formOf is a form with one file, written as it is read.
func formOf(t testing.TB, file io.Reader) (media string, body io.Reader) {
	t.Helper()
	var ends bytes.Buffer
	w := multipart.NewWriter(&ends)
	if _, err := w.CreateFormFile("file", "huge.csv"); err != nil {
		t.Fatal(err)
	}
	head := bytes.Clone(ends.Bytes())
	ends.Reset()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), io.MultiReader(bytes.NewReader(head), file, &ends)
}

// hugeJSON is a request of transactions, of about that many bytes.
func hugeJSON(size int64) io.Reader {
	const row = `{"account_id":"ACC100000","date":"2024-01-02","amount":12.50,"description":"COFFEE"},`
	rows := strings.Repeat(row, 1000)
	many := make([]io.Reader, 0, 2+size/int64(len(rows)))
	many = append(many, strings.NewReader(`{"data":[`))
	for range size / int64(len(rows)) {
		many = append(many, strings.NewReader(rows))
	}
	return io.MultiReader(append(many, strings.NewReader(strings.TrimSuffix(row, ",")+"]}"))...)
}
