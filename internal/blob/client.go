package blob

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// options set the SDK up so that a body is read once, by our own checksum, and never hashed for the signature: that
// hash is SHA-256, 43 % of the CPU of a gateway that leaves it on.
func options(cfg Config, keys aws.CredentialsProvider, m *metrics) s3.Options {
	o := s3.Options{
		Region:       cfg.Region,
		Credentials:  keys,
		UsePathStyle: cfg.PathStyle,
		HTTPClient:   httpClient(cfg),
		// The standard retryer also keeps a budget: when many requests fail it stops retrying instead of adding load.
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 4, 5*time.Second }),
		// The checksum is a header of ours. Left to itself the SDK would send it as a trailer, which needs TLS.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		// Expect: 100-continue would cost every part a round trip.
		ContinueHeaderThresholdBytes: -1,
		APIOptions:                   []func(*middleware.Stack) error{unsignedPayload, m.observe},
	}
	if cfg.Endpoint != "" {
		o.BaseEndpoint = &cfg.Endpoint
	}
	return o
}

func httpClient(cfg Config) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = cfg.MaxConns, cfg.MaxConns, cfg.MaxConns
		if cfg.RootCAs != nil {
			t.TLSClientConfig.RootCAs = cfg.RootCAs
		}
		t.DisableCompression = true // an object comes as it is stored: its size and checksum are of those bytes
		t.ResponseHeaderTimeout = 2 * time.Minute
		t.DialContext = inLargeWrites(t.DialContext)
		t.WriteBufferSize = 32 << 10 // what TLS, which has no ReadFrom, gets at a time
	})
}

// unsignedPayload spares the hash of the body where the body is ours and carries its own checksum. The other
// operations have small bodies or none, and some need the hash.
func unsignedPayload(stack *middleware.Stack) error {
	switch stack.ID() {
	case "PutObject", "UploadPart":
		return v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware(stack)
	}
	return nil
}

// observe counts and times every attempt, retries included.
func (m *metrics) observe(stack *middleware.Stack) error {
	if m == nil {
		return nil
	}
	attempt := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		start := time.Now()
		out, meta, err := next.HandleDeserialize(ctx, in)
		m.attempt(middleware.GetOperationName(ctx), time.Since(start), out.RawResponse)
		return out, meta, err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("SluiceMetrics", attempt), middleware.After)
}
