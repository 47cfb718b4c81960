package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// bulkOpening is what opens a job, with the members behind it.
func bulkOpening(more string) string {
	return `{"object":"FinancialTransaction","operation":"pipeline","content_type":"json"` + more + `}`
}

// hostileOpenings are bodies that open a bulk job, and what their refusal says; "" opens one.
var hostileOpenings = []struct{ body, detail string }{
	{bulkOpening(""), ""},
	{" \t\r\n" + bulkOpening("") + "\n ", ""},
	{bulkOpening(`,"unknown":{"a":[1e999,-0,"\ud800",null,true]},"":0`), ""},
	{bulkOpening(`,"unknown":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), ""},
	{bulkOpening(`,"unknown":9223372036854775808123456789e-999999999`), ""},
	{bulkOpening(`,"tenant":"rival","job_id":"job_x","state":"JOB_COMPLETE","__proto__":{"tenant":"rival"}`), ""},
	{bulkOpening(`,"credit_model_config":null,"parse_config":{ },"aggregate_config":{"group_by":"date"}`), ""},
	{strings.Replace(bulkOpening(""), `"object"`, `"\u006fbject"`, 1), ""},
	{"", "ends too early"},
	{"\x00", "not the JSON"},
	{"\xef\xbb\xbf" + bulkOpening(""), "not the JSON"},
	{"null", "not the JSON"},
	{"[]", "not the JSON"},
	{`"x"`, "not the JSON"},
	{"NaN", "not the JSON"},
	{"{", "ends too early"},
	{"{}{}", "not the JSON"},
	{bulkOpening("") + "x", "not the JSON"},
	{bulkOpening("") + bulkOpening(""), "not the JSON"},
	{bulkOpening(","), "not the JSON"},
	{strings.ReplaceAll(bulkOpening(""), `"`, "'"), "not the JSON"},
	{bulkOpening(`,"a":NaN`), "not the JSON"},
	{bulkOpening(`,"a":-Infinity`), "not the JSON"},
	{bulkOpening(`,"a":0x10`), "not the JSON"},
	{bulkOpening(`,"a":+1`), "not the JSON"},
	{bulkOpening(`,"a":01`), "not the JSON"},
	{bulkOpening(`,"a":.5`), "not the JSON"},
	{bulkOpening(`,"a":"` + "\x01" + `"`), "not the JSON"},
	{bulkOpening(`,"a":"\x41"`), "not the JSON"},
	{bulkOpening(`,"a":/**/1`), "not the JSON"},
	{bulkOpening(`,"unknown":` + strings.Repeat("[", 102) + strings.Repeat("]", 102)), "nested more than 100 deep"},
	{bulkOpening(`,"unknown":` + strings.Repeat(`{"a":`, 10_000)), "nested more than 100 deep"},
	{bulkOpening(`,"parse_config":` + strings.Repeat("[", 1000)), "nested more than 100 deep"},
	{bulkOpening(`,"parse_config":{"` + strings.Repeat("x", 70<<10) + `":1}`), "parse_config"},
	{`{"object":1}`, "object: must be text"},
	{`{"object":["FinancialTransaction"]}`, "object: must be text"},
	{`{"object":{"toString":"FinancialTransaction"}}`, "object: must be text"},
	{`{"object":null,"operation":"pipeline","content_type":"csv"}`, "object: must be FinancialTransaction"},
	{strings.Replace(bulkOpening(""), "FinancialTransaction", "financialtransaction", 1), "object: must be FinancialTransaction"},
	{strings.Replace(bulkOpening(""), "FinancialTransaction", `FinancialTransaction\u0000`, 1), "object: must be FinancialTransaction"},
	{strings.Replace(bulkOpening(""), "FinancialTransaction", "FinancialTransaction\u200b", 1), "object: must be FinancialTransaction"},
	{strings.Replace(bulkOpening(""), `"object"`, `"Object"`, 1), "object: must be FinancialTransaction"},
	{strings.Replace(bulkOpening(""), `"json"`, `true`, 1), "content_type: must be text"},
	{strings.Replace(bulkOpening(""), `"json"`, `"JSON"`, 1), "content_type: must be csv or json"},
	{bulkOpening(`,"object":"Other"`), "object: must be given once"},
	{bulkOpening(`,"content_type":"csv"`), "content_type: must be given once"},
	{bulkOpening(`,"content_type":"json"`), "content_type: must be given once"},
	{bulkOpening(`,"content\u005ftype":"csv"`), "content_type: must be given once"},
	{bulkOpening(`,"parse_config":{},"parse_config":{"ragged":true}`), "parse_config: must be given once"},
	{bulkOpening(`,"parse_config":{"unknown":1}`), "parse_config"},
	{bulkOpening(`,"parse_config":{"ragged":true,"ragged":false}`), "parse_config"},
	{bulkOpening(`,"parse_config":{"header_line":9223372036854775808}`), "parse_config"},
	{bulkOpening(`,"parse_config":{"header_line":1.5}`), "parse_config"},
	{bulkOpening(`,"parse_config":{"header_line":-1}`), "parse_config"},
	{bulkOpening(`,"parse_config":{"header_line":"1"}`), "parse_config"},
	{bulkOpening(`,"parse_config":[]`), "parse_config"},
	{bulkOpening(`,"parse_config":"x"`), "parse_config"},
	{bulkOpening(`,"credit_model_config":{"a":1e999999999}`), "credit_model_config"},
	{bulkOpening(`,"aggregate_config":{"group_by":"'; DROP TABLE jobs; --"}`), "aggregate_config"},
}

// TestHostileOpenings: what opens a job opens one that is as it says, and all else is
// refused by a name, leaves nothing, and shows nothing of us.
func TestHostileOpenings(t *testing.T) {
	t.Parallel()
	s := start(t)
	opened := 0
	for _, c := range hostileOpenings {
		a := s.do(http.MethodPost, doorsPath+"jobs/", fields{"Content-Type": "application/json"}, strings.NewReader(c.body))
		if c.detail == "" {
			opened++
			if told := s.told(a, http.StatusCreated); told["state"] != "OPEN" || told["job_id"] == "job_x" {
				t.Errorf("%.200s: %s", c.body, a.body)
			}
			continue
		}
		wantProblem(t, a, http.StatusBadRequest, fmt.Sprintf("%.200q", c.body))
		if !strings.Contains(a.body, c.detail) {
			t.Errorf("%.200q: %s does not say %q", c.body, a.body, c.detail)
		}
	}
	if jobs := s.all(); len(jobs) != opened {
		t.Errorf("%d jobs, want %d", len(jobs), opened)
	}
	if strings.Contains(s.log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has errors:\n%s", s.log)
	}
}

// hostileRows are transactions of a batch, and the row that each becomes behind its
// index: what is wrong with it the parser says, and nothing is rounded or guessed. One
// that is "" ends the batch.
var hostileRows = []struct{ json, row string }{
	{`{"account_id":"A","date":"2024-01-02","amount":1.50,"is_revenue":true}`, "A,2024-01-02,1.50,true"},
	{`{"amount":9223372036854775808}`, ",,9223372036854775808,"},
	{`{"amount":-9223372036854775809}`, ",,-9223372036854775809,"},
	{`{"amount":0.1000000000000000055511151231257827}`, ",,0.1000000000000000055511151231257827,"},
	{`{"amount":1e999999999}`, ",,1e999999999,"},
	{`{"amount":-0}`, ",,-0,"},
	{`{"amount":"NaN"}`, ",,NaN,"},
	{`{"amount":"=1+1"}`, ",,=1+1,"},
	{`{"amount":true}`, ",,true,"},
	{`{"amount":null}`, ",,,"},
	{`{"amount":[1]}`, ",,[,"},
	{`{"amount":{"value":1}}`, ",,{,"},
	{`{"account_id":9223372036854775808}`, "9223372036854775808,,,"},
	{`{"account_id":true}`, ",,,"},
	{`{"account_id":["A"]}`, ",,,"},
	{`{"account_id":null,"account":"A","Account_ID":"B"}`, ",,,"},
	{`{"account_id":"a\nb,\"c\""}`, "\"a\nb,\"\"c\"\"\",,,"},
	{`{"account_id":"a\u0000b"}`, "a\x00b,,,"},
	{`{"account_id":"\ud83d\ude00"}`, "\U0001F600,,,"},
	{`{"account_id":"A","account_id":"B"}`, "B,,,,account_id is given twice"},
	{`{"amount":1,"amount":1}`, ",,1,,amount is given twice"},
	{`{"is_revenue":"yes","is_revenue\u0000":1}`, ",,,yes"},
	{`{"unknown":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, ",,,"},
	{`{}`, ",,,"},
	{`{"amount":NaN}`, ""},
	{`{"amount":Infinity}`, ""},
	{`{"amount":01}`, ""},
	{`{"amount":1.}`, ""},
	{`{"amount":1,}`, ""},
	{`{"amount"}`, ""},
	{`{amount:1}`, ""},
	{`{"unknown":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, ""},
	{"{\"account_id\":\"a\nb\"}", ""},
}

// TestHostileRows: a batch becomes the rows that it holds, to the digit, or is refused
// and leaves nothing.
func TestHostileRows(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range hostileRows {
		id := s.openBulk("json")
		a := s.batch(id, "?batch_number=1", "["+c.json+"]")
		if c.row == "" {
			if wantProblem(t, a, http.StatusBadRequest, c.json); !strings.Contains(a.body, "not the JSON") {
				t.Errorf("%s: %s", c.json, a.body)
			}
			wantProblem(t, s.completeBulk(id), http.StatusConflict, "no batch")
			continue
		}
		s.told(a, http.StatusOK)
		s.told(s.completeBulk(id), http.StatusOK)
		s.wantSource(s.jobOf(id), "batch,index,account_id,date,amount,is_revenue\n1,0,"+c.row+"\n")
	}
	if strings.Contains(s.log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has errors:\n%s", s.log)
	}
}
