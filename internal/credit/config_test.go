package credit_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/internal/credit"
)

// effective is the default configuration in canonical form: keys by bytes,
// numbers in their shortest form, interest rates as written.
const effective = `{"amount_multiples":{"HIGH":0.25,"LOW":1,"MEDIUM":0.5},"amount_step":100,"as_of":null,` +
	`"consistency_default":0.5,"consistency_max_cv":1,"consistency_min_months":3,` +
	`"credit_score_weights":{"consistency":0.3,"revenue_ratio":0.3,"transaction_volume":0.4},` +
	`"currency":"USD","currency_exponent":2,"decline_threshold":0.3,"future_tolerance_days":1,` +
	`"interest_rates":{"HIGH":0.15,"LOW":0.05,"MEDIUM":0.09},"max_amount":250000,"max_inactive_months":3,` +
	`"max_reasons":4,"medium_threshold":0.5,"min_amount":500,"min_history_months":1,"min_transactions":1,` +
	`"model_version":"v2.1","negative_net_factor":0.5,"offer_scope":"auto","offer_type":"credit_line",` +
	`"partial_month":"include","revenue_ratio_curve":[[0.25,0],[0.5,0.75],[0.75,1]],"risk_threshold":0.7,` +
	`"rolling_period":12,"score_max":850,"score_min":300,"thin_file_max_level":"HIGH","thin_file_months":3,` +
	`"volume_amount_curve":[[0,0],[1000,0.2],[5000,0.5],[20000,0.8],[50000,1]],` +
	`"volume_count_curve":[[0,0],[5,0.25],[20,0.6],[60,0.85],[150,1]],"volume_count_share":0.5}`

func TestDefaults(t *testing.T) {
	t.Parallel()
	written, err := os.ReadFile("testdata/defaults.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", string(written), effective} {
		c := parse(t, text)
		if got := string(c.JSON()); got != effective {
			t.Errorf("%.20q: effective configuration\n%s\nwant\n%s", text, got, effective)
		}
		if c.SHA256() != sha256.Sum256([]byte(effective)) {
			t.Errorf("%.20q: SHA-256 is not that of the JSON", text)
		}
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(written, &keys); err != nil {
		t.Fatal(err)
	}
	var canonical map[string]json.RawMessage
	if err := json.Unmarshal([]byte(effective), &canonical); err != nil || len(canonical) != len(keys) {
		t.Errorf("%d keys, want %d (%v)", len(canonical), len(keys), err)
	}
}

// TestGiven checks what a given member makes of the effective configuration.
func TestGiven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want string }{
		{`"rolling_period": 120`, `"rolling_period":120`},
		{`"rolling_period":6.0`, `"rolling_period":6`},
		{`"consistency_max_cv":0.000001`, `"consistency_max_cv":0.000001`},
		{`"max_amount":1000000000000`, `"max_amount":1000000000000`},
		{`"min_amount":0.01`, `"min_amount":0.01`},
		{`"volume_count_share":0.100000`, `"volume_count_share":0.1`},
		{`"volume_count_share":-0`, `"volume_count_share":0`},
		{`"score_min":-5`, `"score_min":-5`},
		{`"as_of":"2024-02-29"`, `"as_of":"2024-02-29"`},
		{`"as_of":"1969-12-31"`, `"as_of":"1969-12-31"`},
		{`"as_of":null`, `"as_of":null`},
		{`"model_version":"a\"b\u00e9"`, `"model_version":"a\"bé"`},
		{`"offer_scope":"group"`, `"offer_scope":"group"`},
		{`"interest_rates":{"LOW":0.050,"MEDIUM":-0,"HIGH":1.50}`, `"interest_rates":{"HIGH":1.50,"LOW":0.050,"MEDIUM":0}`},
		{
			`"credit_score_weights":{"revenue_ratio":1}`,
			`"credit_score_weights":{"consistency":0,"revenue_ratio":1,"transaction_volume":0}`,
		},
		{`"volume_count_curve":[[-1.5,0],[2.25,0.5]]`, `"volume_count_curve":[[-1.5,0],[2.25,0.5]]`},
		{`"risk_threshold":0.4`, `"medium_threshold":0.4,`},
		{`"risk_threshold":0.4`, `"decline_threshold":0.3,`},
		{`"risk_threshold":0.2`, `"decline_threshold":0.2,`},
		{`"risk_threshold":0.9`, `"medium_threshold":0.5,`},
		{`"risk_threshold":0.9,"decline_threshold":0.45`, `"medium_threshold":0.5,`},
	} {
		if got := string(parse(t, "{"+c.given+"}").JSON()); !strings.Contains(got, c.want) {
			t.Errorf("%s: effective configuration lacks %s:\n%s", c.given, c.want, got)
		}
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	c := parse(t, `{"model_version":"v9","currency":"JPY","currency_exponent":0,"future_tolerance_days":7,
		"as_of":"1970-01-11","interest_rates":{"LOW":0.010,"MEDIUM":0.2,"HIGH":3}}`)
	day, ok := c.AsOf()
	if c.ModelVersion() != "v9" || c.Currency() != "JPY" || c.Exponent() != 0 || c.FutureToleranceDays() != 7 || day != 10 || !ok {
		t.Errorf("accessors: %q %q %d %d %d %v", c.ModelVersion(), c.Currency(), c.Exponent(), c.FutureToleranceDays(), day, ok)
	}
	if l, m, h := c.InterestRate(credit.Low), c.InterestRate(credit.Medium), c.InterestRate(credit.High); l != "0.010" || m != "0.2" || h != "3" {
		t.Errorf("interest rates %s %s %s", l, m, h)
	}
	if _, ok := parse(t, "").AsOf(); ok {
		t.Error("as_of is set by default")
	}
}

// TestRefused checks that each configuration that cannot be used is refused
// with the key that is to blame.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, key string }{
		{`[]`, ""},
		{`null`, ""},
		{`"v2.1"`, ""},
		{`{`, ""},
		{`{"currency":"USD"`, ""},
		{`{"currency":}`, ""},
		{`{} {}`, ""},
		{`{"currency":"USD",}`, ""},
		{"{\"currency\":\"\xff\"}", ""},
		{` `, ""},
		{`{"rolling_periode":12}`, "rolling_periode"},
		{`{"Rolling_Period":12}`, "Rolling_Period"},
		{`{"":1}`, ""},
		{`{"score_min":300,"score_min":300}`, "score_min"},
		{`{"rolling_period":0}`, "rolling_period"},
		{`{"rolling_period":121}`, "rolling_period"},
		{`{"rolling_period":1.5}`, "rolling_period"},
		{`{"rolling_period":"12"}`, "rolling_period"},
		{`{"rolling_period":null}`, "rolling_period"},
		{`{"rolling_period":1e1}`, "rolling_period"},
		{`{"max_amount":1e1000000000}`, "max_amount"},
		{`{"rolling_period":[12]}`, "rolling_period"},
		{`{"max_amount":1000000000000.01}`, "max_amount"},
		{`{"max_amount":99999999999999999999999999}`, "max_amount"},
		{`{"risk_threshold":0.7000001}`, "risk_threshold"},
		{`{"risk_threshold":1.000001}`, "risk_threshold"},
		{`{"decline_threshold":-0.1}`, "decline_threshold"},
		{`{"medium_threshold":0.29}`, "medium_threshold"},
		{`{"medium_threshold":0.71}`, "risk_threshold"},
		{`{"risk_threshold":0.4,"decline_threshold":0.1}`, "risk_threshold"},
		{`{"decline_threshold":0.51}`, "medium_threshold"},
		{`{"credit_score_weights":{}}`, "credit_score_weights"},
		{`{"credit_score_weights":{"consistency":0}}`, "credit_score_weights"},
		{`{"credit_score_weights":{"consistency":-1}}`, "credit_score_weights.consistency"},
		{`{"credit_score_weights":{"volume":1}}`, "credit_score_weights.volume"},
		{`{"credit_score_weights":{"consistency":1,"consistency":1}}`, "credit_score_weights.consistency"},
		{`{"credit_score_weights":0.4}`, "credit_score_weights"},
		{`{"amount_multiples":{"LOW":1,"MEDIUM":1}}`, "amount_multiples.HIGH"},
		{`{"amount_multiples":{"LOW":1,"MEDIUM":1,"HIGH":-1}}`, "amount_multiples.HIGH"},
		{`{"interest_rates":{"low":1}}`, "interest_rates.low"},
		{`{"interest_rates":{"LOW":"5%"}}`, "interest_rates.LOW"},
		{`{"interest_rates":[]}`, "interest_rates"},
		{`{"interest_rates":null}`, "interest_rates"},
		{`{"volume_count_curve":[[0,0]]}`, "volume_count_curve"},
		{`{"volume_count_curve":null}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,0],[0,1]]}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,0.5],[1,0.4]]}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,0],[1,1.1]]}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,-0.1],[1,1]]}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,0],[1,1,1]]}`, "volume_count_curve"},
		{`{"volume_count_curve":[[0,0],null]}`, "volume_count_curve"},
		{`{"volume_count_curve":[["0",0],[1,1]]}`, "volume_count_curve"},
		{`{"volume_count_curve":{"0":0}}`, "volume_count_curve"},
		{`{"volume_count_share":1.1}`, "volume_count_share"},
		{`{"consistency_default":2}`, "consistency_default"},
		{`{"consistency_max_cv":0}`, "consistency_max_cv"},
		{`{"amount_step":0}`, "amount_step"},
		{`{"amount_step":0.001}`, "amount_step"},
		{`{"currency_exponent":1,"min_amount":0.01}`, "min_amount"},
		{`{"max_amount":499}`, "max_amount"},
		{`{"min_amount":-1}`, "min_amount"},
		{`{"max_amount":500.001}`, "max_amount"},
		{`{"currency_exponent":7}`, "currency_exponent"},
		{`{"currency_exponent":-1}`, "currency_exponent"},
		{`{"score_min":850}`, "score_max"},
		{`{"score_max":300}`, "score_max"},
		{`{"max_reasons":-1}`, "max_reasons"},
		{`{"negative_net_factor":-0.5}`, "negative_net_factor"},
		{`{"future_tolerance_days":-1}`, "future_tolerance_days"},
		{`{"partial_month":"drop"}`, "partial_month"},
		{`{"offer_scope":"date"}`, "offer_scope"},
		{`{"offer_scope":null}`, "offer_scope"},
		{`{"thin_file_max_level":"high"}`, "thin_file_max_level"},
		{`{"as_of":"2023-02-29"}`, "as_of"},
		{`{"as_of":"2024-1-5"}`, "as_of"},
		{`{"as_of":"now"}`, "as_of"},
		{`{"as_of":20240105}`, "as_of"},
		{`{"currency":""}`, "currency"},
		{`{"currency":null}`, "currency"},
		{`{"model_version":"a\u0000b"}`, "model_version"},
		{`{"offer_type":"` + strings.Repeat("x", 65) + `"}`, "offer_type"},
		{`{"model_version":2}`, "model_version"},
	} {
		_, err := credit.ParseConfig([]byte(c.text))
		refused, ok := errors.AsType[*credit.ConfigError](err)
		if !ok || refused.Key != c.key || refused.Detail == "" {
			t.Errorf("%s: error %#v, want one of key %q", c.text, err, c.key)
		} else if !strings.HasPrefix(err.Error(), c.key) || len(err.Error()) > 250 {
			t.Errorf("%s: message %q", c.text, err)
		}
	}
}

// TestCanonical checks that the canonical form says everything, and nothing of
// the order of the keys.
func TestCanonical(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		text := randomConfig(r)
		c := parse(t, text)
		if again := parse(t, string(c.JSON())); again.SHA256() != c.SHA256() {
			t.Fatalf("%s: effective\n%s\nread back\n%s", text, c.JSON(), again.JSON())
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatal(err)
		}
		sorted, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if other := parse(t, string(sorted)); other.SHA256() != c.SHA256() {
			t.Fatalf("%s and %s have two digests", text, sorted)
		}
	}
}

// FuzzParseConfig: whatever the text, it is refused with a *ConfigError or its
// canonical form is a fixed point, and deciding does not panic.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(effective), int64(100))
	f.Add([]byte(`{"volume_amount_curve":[[-1000000000000,0],[1000000000000,1]],"score_min":-1000000000}`), int64(-1))
	f.Add([]byte(`{"max_amount":1000000000000,"currency_exponent":6,"amount_multiples":{"LOW":1000000000000,"MEDIUM":1,"HIGH":1}}`), int64(1)<<62)
	r := rand.New(rand.NewPCG(9, 10))
	for range 10 {
		f.Add([]byte(randomConfig(r)), r.Int64())
	}
	f.Fuzz(func(t *testing.T, text []byte, seed int64) {
		c, err := credit.ParseConfig(text)
		if err != nil {
			if _, ok := errors.AsType[*credit.ConfigError](err); !ok {
				t.Fatalf("%q: error %v", text, err)
			}
			return
		}
		if again := parse(t, string(c.JSON())); !slices.Equal(again.JSON(), c.JSON()) {
			t.Fatalf("effective\n%s\nread back\n%s", c.JSON(), again.JSON())
		}
		days := randomDays(rand.New(rand.NewPCG(uint64(seed), 0)))
		want, wantOK := newOracle(t, c.JSON()).decide(days, days[len(days)-1].Day)
		got, ok := credit.NewModel(c).Decide(days, days[len(days)-1].Day)
		if ok != wantOK || ok && !equal(got, want) {
			t.Fatalf("%s\n got %v %+v\nwant %v %+v", c.JSON(), ok, got, wantOK, want)
		}
	})
}
