package pipeline_test

import (
	"errors"
	"testing"

	"sluice/internal/credit"
	"sluice/internal/pipeline"
)

func TestParseSettings(t *testing.T) {
	t.Parallel()
	s, err := pipeline.ParseSettings("", " ", "")
	if err != nil || s.Aggregate != (pipeline.AggregateConfig{}) || s.Parse.CurrencyExponent != 2 || s.Parse.NoAccount {
		t.Errorf("defaults: %+v, %v", s, err)
	}
	s, err = pipeline.ParseSettings(`{"currency_exponent":3}`, `{"group_by":"date","date_range":"last_30_days"}`, `{"encoding":"Windows-1252"}`)
	want := pipeline.AggregateConfig{GroupBy: credit.ByDate, RangeDays: 30}
	if err != nil || s.Aggregate != want || s.Parse.CurrencyExponent != 3 || !s.Parse.NoAccount {
		t.Errorf("settings: %+v, %v", s, err)
	}
	for text, want := range map[string]credit.GroupBy{
		`{}`: credit.ByAccountAndDate, `{"group_by":null,"date_range":null}`: credit.ByAccountAndDate,
		`{"group_by":["date","account_id"]}`: credit.ByAccountAndDate, `{"group_by":["account_id"]}`: credit.ByAccount,
	} {
		if s, err := pipeline.ParseSettings("", text, ""); err != nil || s.Aggregate.GroupBy != want {
			t.Errorf("%s: %v, %v", text, s.Aggregate.GroupBy, err)
		}
	}
}

func TestParseSettingsNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ credit, aggregate, parse, key, field string }{
		{`{"rolling":1}`, "", "", pipeline.KeyCredit, "rolling"},
		{`{"rolling_period":0}`, "", "", pipeline.KeyCredit, "rolling_period"},
		{`[]`, "", "", pipeline.KeyCredit, ""},
		{"", `[]`, "", pipeline.KeyAggregate, ""},
		{"", `null`, "", pipeline.KeyAggregate, ""},
		{"", `{"group_by":["account_id"]`, "", pipeline.KeyAggregate, ""},
		{"", `{"groups":1}`, "", pipeline.KeyAggregate, "groups"},
		{"", `{"group_by":["month"]}`, "", pipeline.KeyAggregate, "group_by"},
		{"", `{"group_by":[]}`, "", pipeline.KeyAggregate, "group_by"},
		{"", `{"group_by":7}`, "", pipeline.KeyAggregate, "group_by"},
		{"", `{"date_range":"last_0_days"}`, "", pipeline.KeyAggregate, "date_range"},
		{"", `{"date_range":"last_-1_days"}`, "", pipeline.KeyAggregate, "date_range"},
		{"", `{"date_range":"last_36526_days"}`, "", pipeline.KeyAggregate, "date_range"},
		{"", `{"date_range":"30_days"}`, "", pipeline.KeyAggregate, "date_range"},
		{"", `{"date_range":30}`, "", pipeline.KeyAggregate, "date_range"},
		{"", "", `{"colums":{}}`, pipeline.KeyParse, "colums"},
		{"", "", `{"columns":{"dat":"x"}}`, pipeline.KeyParse, "columns.dat"},
		{"", "", `{"encoding":"utf-9"}`, pipeline.KeyParse, "encoding"},
		{"", "", `{"encoding":"replacement"}`, pipeline.KeyParse, "encoding"},
		{"", "", `{`, pipeline.KeyParse, ""},
	} {
		_, err := pipeline.ParseSettings(c.credit, c.aggregate, c.parse)
		e := (*pipeline.SettingError)(nil)
		if !errors.As(err, &e) || e.Key != c.key || e.Field != c.field || e.Detail == "" {
			t.Errorf("%s %s %s: %v", c.credit, c.aggregate, c.parse, err)
		}
	}
}
