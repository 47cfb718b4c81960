package parser

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// ParseConfig reads parse_config from its JSON text. Empty text gives the
// defaults, CurrencyExponent 2 among them. An unknown or repeated key and a bad
// value are a *ConfigError that names it.
func ParseConfig(text []byte) (Config, error) {
	c := Config{CurrencyExponent: defaultExponent}
	if len(bytes.TrimSpace(text)) == 0 {
		return c, nil
	}
	if err := eachMember("", text, c.setMember); err != nil {
		return Config{}, err
	}
	if err := c.check(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) setMember(key string, value json.RawMessage) error {
	switch key {
	case "encoding":
		return decodeText(key, value, &c.Encoding)
	case "delimiter":
		return decodeByte(key, value, &c.Delimiter)
	case "has_header":
		return decode(key, value, &c.HasHeader, "true or false")
	case "header_line":
		return decodePositive(key, value, &c.HeaderLine)
	case "columns":
		c.Columns = map[Column]Ref{}
		return eachMember(key, value, c.setColumn)
	case "account_id":
		return decodeText(key, value, &c.AccountID)
	case "date_format":
		return decodeText(key, value, &c.DateFormat)
	case "decimal_separator":
		return decodeByte(key, value, &c.DecimalSeparator)
	case "thousands_separator":
		return decodeByte(key, value, &c.ThousandsSeparator)
	case "direction":
		return c.setDirection(value)
	case "ragged":
		return decode(key, value, &c.Ragged, "true or false")
	case "on_error":
		return c.OnError.set(value)
	case "dry_run":
		return decode(key, value, &c.DryRun, "true or false")
	}
	return configErrorf(key, "unknown key")
}

func (c *Config) setColumn(key string, value json.RawMessage) error {
	switch column := Column(key); column {
	case AccountID, Date, Amount, IsRevenue, Description, Debit, Credit:
		ref, err := decodeRef("columns."+key, value)
		c.Columns[column] = ref
		return err
	}
	return configErrorf("columns."+key, "unknown column; want account_id, date, amount, is_revenue, description, debit or credit")
}

func (c *Config) setDirection(value json.RawMessage) error {
	d := &Direction{}
	c.Direction = d
	return eachMember("direction", value, func(key string, value json.RawMessage) (err error) {
		field := "direction." + key
		switch key {
		case "column":
			d.Column, err = decodeRef(field, value)
			return err
		case "credit":
			return decode(field, value, &d.Credit, "a list of strings")
		case "debit":
			return decode(field, value, &d.Debit, "a list of strings")
		}
		return configErrorf(field, "unknown key")
	})
}

func (o *OnError) set(value json.RawMessage) error {
	return eachMember("on_error", value, func(key string, value json.RawMessage) error {
		field := "on_error." + key
		switch key {
		case "mode":
			return decode(field, value, &o.Mode, "a string")
		case "max_rows":
			return decode(field, value, &o.MaxRows, "a whole number")
		case "max_ratio":
			return decode(field, value, &o.MaxRatio, "a number from 0 to 1")
		}
		return configErrorf(field, "unknown key")
	})
}

// eachMember calls set for every member of the JSON object in text, in order.
// A member that is null counts as absent; one that comes twice is an error,
// where encoding/json would silently keep the last.
func eachMember(field string, text []byte, set func(string, json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return configErrorf(field, "want a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return configErrorf(field, "not JSON: %v", err)
		}
		key, _ := token.(string) // a member's name; anything else failed in Token
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return configErrorf(join(field, key), "not JSON: %v", err)
		}
		if seen[key] {
			return configErrorf(join(field, key), "is given twice")
		}
		seen[key] = true
		if string(value) == "null" {
			continue
		}
		if err := set(key, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return configErrorf(field, "not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return configErrorf(field, "text after the JSON object")
	}
	return nil
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func decode(field string, value json.RawMessage, into any, want string) error {
	if json.Unmarshal(value, into) != nil {
		return configErrorf(field, "want %s", want)
	}
	return nil
}

// decodeText wants a string that is not blank: an empty one would silently
// mean the default.
func decodeText(field string, value json.RawMessage, into *string) error {
	if err := decode(field, value, into, "a string"); err != nil {
		return err
	}
	if len(trim([]byte(*into))) == 0 {
		return configErrorf(field, "is blank")
	}
	return nil
}

func decodeByte(field string, value json.RawMessage, into *byte) error {
	var s string
	if json.Unmarshal(value, &s) != nil || len(s) != 1 || s[0] == 0 {
		return configErrorf(field, "want a string of one ASCII character")
	}
	*into = s[0]
	return nil
}

func decodePositive(field string, value json.RawMessage, into *int) error {
	if json.Unmarshal(value, into) != nil || *into < 1 {
		return configErrorf(field, "want a whole number from 1")
	}
	return nil
}

func decodeRef(field string, value json.RawMessage) (Ref, error) {
	var ref Ref
	if value[0] == '"' {
		return ref, decodeText(field, value, &ref.Name)
	}
	if json.Unmarshal(value, &ref.Position) != nil {
		return ref, configErrorf(field, "want a header name or a position")
	}
	return ref, nil
}
