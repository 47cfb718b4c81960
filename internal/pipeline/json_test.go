package pipeline_test

import (
	"testing"

	"sluice/internal/pipeline"
)

// TestJSON: transactions as an array or a line each are the same file as their
// table, and each that is rejected keeps its index.
func TestJSON(t *testing.T) {
	t.Parallel()
	const lines = `{"account_id":"A","date":"2024-01-02","amount":10.50}
{"account_id":"A","date":"2024-01-02","amount":1e3}
{"amount":"-0.25","date":"2024-01-03T10:00:00Z","account_id":7,"is_revenue":true}
`
	const array = "\xef\xbb\xbf [{\"account_id\":\"A\",\"date\":\"2024-01-02\",\"amount\":10.50},\n{\"account_id\":\"A\",\"date\":\"2024-01-02\",\"amount\":1e3}," +
		"{\"amount\":\"-0.25\",\"date\":\"2024-01-03T10:00:00Z\",\"account_id\":7,\"is_revenue\":true}]"
	const rejects = "line,reason,detail,index,account_id,date,amount,is_revenue\n3,bad_amount,amount: 1e3,1,A,2024-01-02,1e3,\n"
	for _, in := range []string{lines, array} {
		o := job{file: []byte(in)}.run(t)
		if o.err != nil || o.Accepted != 2 || o.Rejected != 1 || o.Total.String() != "1025" || o.Revenue.String() != "1025" {
			t.Errorf("%.20q: %v, %d+%d, total %v, revenue %v", in, o.err, o.Accepted, o.Rejected, o.Total, o.Revenue)
		}
		if o.rejects != rejects {
			t.Errorf("rejects are %q, want %q", o.rejects, rejects)
		}
	}
	if o := (job{file: []byte(array + "]")}).run(t); o.code() != pipeline.CodeBadJSON {
		t.Errorf("an array with something behind it: %v", o.err)
	}
}
