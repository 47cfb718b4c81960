package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sluice/internal/pipeline"
)

// maxMetadataBytes bounds an Upload-Metadata header: all of it is kept and
// echoed by every HEAD.
const maxMetadataBytes = 16 << 10

// maxNameBytes bounds a file's name, which every list of jobs has: S3's longest
// key, and four times what a file system takes.
const maxNameBytes = 1024

// checkName is a 400 where the name of a file is too long.
func checkName(name string) error {
	if len(name) > maxNameBytes {
		return badField("filename", "must not be longer than 1024 bytes")
	}
	return nil
}

// checkMetadata reads an Upload-Metadata header by the letter of tus 1.0 and
// checks every key that this project knows. tusd drops what it cannot read,
// so that a mistyped setting would become the default in silence. The error
// is a 400 that names the key.
func checkMetadata(header string) error {
	if len(header) > maxMetadataBytes {
		return badField("Upload-Metadata", "must not be longer than 16 KiB, base64 included")
	}
	meta, err := parseMetadata(header)
	if err != nil {
		return err
	}
	for _, key := range []string{"filename", "filetype", pipeline.KeyCredit, pipeline.KeyAggregate, pipeline.KeyParse} {
		if text := meta[key]; !utf8.ValidString(text) || strings.Contains(text, "\x00") { // Postgres keeps no NUL
			return badField(key, "its value in Upload-Metadata is not UTF-8 text")
		}
	}
	if err := checkName(meta["filename"]); err != nil {
		return err
	}
	if digest, given := meta["sha256"]; given {
		if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 {
			return badField("sha256", "must be the 64 hexadecimal digits of the file's SHA-256")
		}
	}
	_, err = pipeline.ParseSettings(meta[pipeline.KeyCredit], meta[pipeline.KeyAggregate], meta[pipeline.KeyParse])
	if setting, ok := errors.AsType[*pipeline.SettingError](err); ok {
		return badSetting(setting)
	}
	return err
}

func badSetting(e *pipeline.SettingError) *problem {
	field := e.Key
	if e.Field != "" {
		field += "." + e.Field
	}
	return badField(field, e.Detail)
}

// parseMetadata returns the pairs of an Upload-Metadata header. The values of
// keys that mean nothing to us may be any bytes.
func parseMetadata(header string) (map[string]string, error) {
	meta := map[string]string{}
	if strings.TrimSpace(header) == "" {
		return meta, nil
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(encoded)
		switch _, twice := meta[key]; {
		case key == "" || !isToken(key):
			return nil, badField("Upload-Metadata", "each pair is a key of visible ASCII, a space and the value in base64, and commas stand between pairs")
		case twice:
			return nil, badField(key, "is given twice in Upload-Metadata")
		case err != nil:
			return nil, badField(key, "its value in Upload-Metadata is not base64")
		}
		meta[key] = string(value)
	}
	return meta, nil
}

func isToken(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// formatMetadata writes an Upload-Metadata header with its keys in order.
func formatMetadata(meta map[string]string) string {
	pairs := make([]string, 0, len(meta))
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		pairs = append(pairs, strings.TrimSuffix(key+" "+base64.StdEncoding.EncodeToString([]byte(meta[key])), " "))
	}
	return strings.Join(pairs, ",")
}
