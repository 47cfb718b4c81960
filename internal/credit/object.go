package credit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// read sets what the object gives and returns its keys.
func (c *Config) read(text []byte) (given map[string]bool, err error) {
	given = make(map[string]bool)
	byKey := make(map[string]setting)
	for _, s := range settings() {
		byKey[s.key] = s
	}
	return given, members("", text, func(key string, v json.RawMessage) error {
		s, ok := byKey[key]
		if !ok {
			return refuse(string(excerpt([]byte(key))), "is not a setting")
		}
		given[key] = true
		return s.read(c, v)
	})
}

// seal writes the canonical JSON and its digest.
func (c *Config) seal() {
	var text []byte
	before := byte('{')
	for _, s := range settings() {
		text = append(appendText(append(text, before), s.key), ':')
		text = s.write(c, text)
		before = ','
	}
	text = append(text, '}')
	c.json, c.sha256 = string(text), sha256.Sum256(text)
}

// members visits each member of the JSON object text, the value of key, in its
// order. encoding/json alone would let a repeated key win over the first, and
// put U+FFFD for bytes that are not UTF-8.
func members(key string, text []byte, visit func(name string, v json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') || !utf8.Valid(text) {
		return refuse(key, "must be a JSON object, not %s", excerpt(text))
	}
	seen := make(map[string]bool)
	for decoder.More() {
		var v json.RawMessage
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(&v)
		}
		if err != nil {
			return refuse(key, "is not valid JSON: %v", err)
		}
		if seen[name.(string)] {
			return refuse(join(key, name.(string)), "is given twice")
		}
		seen[name.(string)] = true
		if err := visit(name.(string), v); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return refuse(key, "is not valid JSON: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return refuse(key, "is not valid JSON: it goes on after its end")
	}
	return nil
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// readText reads a JSON string.
func readText(v json.RawMessage) (s string, ok bool) {
	if len(v) == 0 || v[0] != '"' {
		return "", false // a null would be taken for an empty text
	}
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string always marshals
	}
	return append(dst, text...)
}

// excerpt returns the beginning of a value, for a message.
func excerpt(v []byte) []byte {
	const enough = 40
	if len(v) <= enough {
		return v
	}
	return append(bytes.ToValidUTF8(v[:enough:enough], nil), "…"...)
}
