package upload

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
)

// Keys of Upload-Metadata that mean something to us.
const (
	keyFilename  = "filename"
	keySHA256    = "sha256"
	keyCredit    = "credit_model_config"
	keyAggregate = "aggregate_config"
	keyParse     = "parse_config"
)

// encodeMetadata keeps values as bytes, which JSON writes in base64: a value may be anything, and jsonb takes no NUL.
func encodeMetadata(meta handler.MetaData) ([]byte, error) {
	raw := make(map[string][]byte, len(meta))
	for k, v := range meta {
		raw[k] = []byte(v)
	}
	return json.Marshal(raw)
}

func decodeMetadata(text []byte) (map[string]string, error) {
	var raw map[string][]byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	meta := make(map[string]string, len(raw))
	for k, v := range raw {
		meta[k] = string(v)
	}
	return meta, nil
}

// draft returns the job of a new upload, or a 400 that names the bad key. What the configurations say is checked by
// whoever takes the request: here they are texts.
func draft(ctx context.Context, info handler.FileInfo) (job.Draft, error) {
	for _, key := range []string{keyFilename, keyCredit, keyAggregate, keyParse} {
		if v := info.MetaData[key]; !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return job.Draft{}, badMetadata(key, "is not text in UTF-8")
		}
	}
	digest, err := hex.DecodeString(info.MetaData[keySHA256])
	if err != nil || (len(digest) != 0 && len(digest) != 32) {
		return job.Draft{}, badMetadata(keySHA256, "is not 64 hexadecimal digits")
	}
	if len(digest) == 0 {
		digest = nil
	}
	id := info.ID
	if id == "" {
		id = job.NewID()
	}
	return job.Draft{
		ID: id, Tenant: job.Tenant(ctx), Channel: "tus", Filename: info.MetaData[keyFilename], SHA256: digest,
		CreditConfig: info.MetaData[keyCredit], AggregateConfig: info.MetaData[keyAggregate], ParseConfig: info.MetaData[keyParse],
	}, nil
}

func badMetadata(key, fault string) error {
	return handler.NewError("ERR_INVALID_METADATA", "Upload-Metadata: "+key+" "+fault, http.StatusBadRequest)
}
