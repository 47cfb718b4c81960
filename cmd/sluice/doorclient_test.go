package main_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// transactions are rows of account_id, date, amount and is_revenue, which may be "".
type transactions [][4]string

// csv writes them as a file.
func (ts transactions) csv(t testing.TB) []byte {
	t.Helper()
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	if err := w.Write([]string{"account_id", "date", "amount", "is_revenue"}); err != nil {
		t.Fatal(err)
	}
	for _, row := range ts {
		if err := w.Write(row[:]); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return file.Bytes()
}

// json writes them as an array, every other amount as text.
func (ts transactions) json(t testing.TB) []byte {
	t.Helper()
	out := []byte("[")
	for i, row := range ts {
		one := map[string]any{"account_id": row[0], "date": row[1], "amount": row[2], "description": "not read"}
		if i%2 == 0 && json.Valid([]byte(row[2])) {
			one["amount"] = json.Number(row[2])
		}
		if row[3] != "" {
			one["is_revenue"] = row[3] == "true"
		}
		text, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, text...), ',')
	}
	return append(bytes.TrimSuffix(out, []byte(",")), ']')
}

// doorClient sends to the doors beside tus as their documentation says: what is
// not answered, or is asked for later, it sends again, with the same key, session
// or number.
type doorClient struct {
	testing.TB
	url func() string
}

const oldDoors = "/api/financial-transactions/"

// doors are the clients of those doors; each returns the id of its job.
var doors = map[string]func(c *doorClient, ts transactions) string{
	"upload-file": func(c *doorClient, ts transactions) string {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, err := w.CreateFormFile("file", "bank.csv")
		c.must(err)
		_, err = part.Write(ts.csv(c))
		c.must(err)
		c.must(w.Close())
		return c.send("POST", "upload-file/", w.FormDataContentType(), "key-of-file", form.Bytes()).JobID
	},
	"stream-upload": func(c *doorClient, ts transactions) string {
		return c.send("POST", "stream-upload/", "text/csv", "key-of-stream", ts.csv(c)).JobID
	},
	"process-transactions": func(c *doorClient, ts transactions) string {
		return c.send("POST", "process-transactions/", "application/json", "key-of-data", slices.Concat([]byte(`{"data":`), ts.json(c), []byte("}"))).JobID
	},
	"upload-chunked": func(c *doorClient, ts transactions) string {
		chunks := slices.Collect(slices.Chunk(ts, 10_000))
		c.parallel(len(chunks), func(i int) {
			c.send("POST", "upload-chunked/", "application/json", "", fmt.Appendf(nil, `{"chunk_data":%s,"chunk_number":%d,"total_chunks":%d,"session_id":"session"}`, chunks[i].json(c), i+1, len(chunks)))
		})
		return c.send("GET", "upload-chunked/session/", "", "", nil).JobID
	},
	"jobs of CSV":  func(c *doorClient, ts transactions) string { return c.bulk("csv", ts, transactions.csv) },
	"jobs of JSON": func(c *doorClient, ts transactions) string { return c.bulk("json", ts, transactions.json) },
}

func (c *doorClient) bulk(contentType string, ts transactions, as func(transactions, testing.TB) []byte) string {
	id := c.send("POST", "jobs/", "application/json", "key-of-"+contentType, []byte(`{"object":"FinancialTransaction","operation":"pipeline","content_type":"`+contentType+`"}`)).JobID
	batches := slices.Collect(slices.Chunk(ts, 10_000))
	c.parallel(len(batches), func(i int) {
		c.send("PUT", fmt.Sprintf("jobs/%s/upload/?batch_number=%d", id, i+1), "application/octet-stream", "", as(batches[i], c))
	})
	return c.send("PATCH", "jobs/"+id+"/complete/", "", "", nil).JobID
}

// parallel does n things, four at a time, the last first.
func (c *doorClient) parallel(n int, do func(i int)) {
	turns := make(chan int)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range turns {
				do(i)
			}
		})
	}
	for i := range n {
		turns <- n - 1 - i
	}
	close(turns)
	all.Wait()
}

// doorAnswer is what these clients read of an answer.
type doorAnswer struct {
	JobID string `json:"job_id"`
	Error string `json:"error"`
	Type  string `json:"type"`
}

// send asks until it is answered with success.
func (c *doorClient) send(method, path, media, key string, body []byte) (got doorAnswer) {
	c.Helper()
	eventually(c, method+" "+path, func(ctx context.Context) bool {
		// Of unknown length: so that the bytes go out as they are read.
		r, err := http.NewRequestWithContext(ctx, method, c.url()+oldDoors+path, io.MultiReader(bytes.NewReader(body)))
		c.must(err)
		r.Header.Set("Content-Type", media)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return false // broken, or nobody is there yet
		}
		defer resp.Body.Close()
		got = doorAnswer{}
		if json.NewDecoder(resp.Body).Decode(&got) != nil {
			return false
		}
		again := resp.StatusCode == http.StatusServiceUnavailable || strings.HasSuffix(got.Type, ":idempotency_key_in_use")
		if resp.StatusCode >= http.StatusBadRequest && !again {
			c.Errorf("%s %s: %s: %s", method, path, resp.Status, got.Error)
			return true
		}
		return !again
	})
	return got
}

func (c *doorClient) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}
