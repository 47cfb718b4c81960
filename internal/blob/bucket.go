// Package blob provides one S3 bucket: objects written whole with a checksum that S3 verifies, and read back pinned
// to the version that was written. It knows nothing of uploads, jobs or what the bytes mean.
package blob

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/secret"
)

// Config says where the bucket is and who asks.
type Config struct {
	// Endpoint is the server's URL, such as http://127.0.0.1:9000. Empty: AWS's own for Region.
	Endpoint string
	// RootCAs are the authorities that the server's certificate may come from. Nil: this machine's.
	RootCAs *x509.CertPool
	// Region is signed into every request. Default us-east-1.
	Region string
	// Bucket is the bucket's name. Required.
	Bucket string
	// AccessKeyID and SecretAccessKey are static credentials. Both empty: the SDK's default chain (roles, profiles).
	AccessKeyID     string
	SecretAccessKey secret.Text
	// PathStyle puts the bucket in the path instead of the host name. Most S3 servers but AWS's need it.
	PathStyle bool
	// Encryption asks the server to encrypt what is written: AES256 with a key of its own, aws:kms with one of its key
	// service's. Empty: as the bucket is set up.
	Encryption types.ServerSideEncryption
	// KMSKeyID names that service's key, with aws:kms only. Empty: the service's own for S3.
	KMSKeyID string
	// MaxConns bounds the connections to the server, and so the requests under way; more wait in line. Default 256.
	MaxConns int
	// Registerer receives the metrics. Nil: none are kept.
	Registerer prometheus.Registerer
}

// Bucket is one bucket. Any number of goroutines may share it.
type Bucket struct {
	client *s3.Client
	name   string
	region string

	encryption types.ServerSideEncryption
	kmsKeyID   *string
}

// New returns the bucket of cfg. It makes no request: see Check.
func New(ctx context.Context, cfg Config) (*Bucket, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("blob: Bucket is required")
	}
	if (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == "") {
		return nil, errors.New("blob: AccessKeyID and SecretAccessKey go together")
	}
	if err := checkEncryption(cfg); err != nil {
		return nil, err
	}
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 256)
	keys, err := keysOf(ctx, cfg)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Bucket{
		client: s3.New(options(cfg, keys, m)), name: cfg.Bucket, region: cfg.Region,
		encryption: cfg.Encryption, kmsKeyID: given(cfg.KMSKeyID),
	}, nil
}

func checkEncryption(cfg Config) error {
	switch cfg.Encryption {
	case "", types.ServerSideEncryptionAes256, types.ServerSideEncryptionAwsKms:
	default:
		return fmt.Errorf("blob: Encryption is %q, and neither AES256 nor aws:kms", cfg.Encryption)
	}
	if cfg.KMSKeyID != "" && cfg.Encryption != types.ServerSideEncryptionAwsKms {
		return errors.New("blob: KMSKeyID goes with Encryption aws:kms")
	}
	return nil
}

// Name returns the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Other returns another bucket of the same server, reached with the same credentials. Who may name it is the caller's
// to check. What is written to it is encrypted as that bucket is set up: its owner may have no right to our key.
func (b *Bucket) Other(name string) *Bucket {
	return &Bucket{client: b.client, name: name, region: b.region}
}

// Ensure creates the bucket if it is missing. It is for development: in production the bucket is the operator's.
func (b *Bucket) Ensure(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &b.name}
	if b.region != "us-east-1" { // which S3 refuses to be told
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(b.region)}
	}
	_, err := b.client.CreateBucket(ctx, in)
	var owned *types.BucketAlreadyOwnedByYou
	var exists *types.BucketAlreadyExists
	if err == nil || errors.As(err, &owned) || errors.As(err, &exists) {
		return nil
	}
	return fmt.Errorf("create bucket %s: %w", b.name, err)
}

// Check asks whether the bucket is there and may be used.
func (b *Bucket) Check(ctx context.Context) error {
	if _, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name}); err != nil {
		return fmt.Errorf("head bucket %s: %w", b.name, err)
	}
	return nil
}

func keysOf(ctx context.Context, cfg Config) (aws.CredentialsProvider, error) {
	if cfg.AccessKeyID != "" {
		return credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""), nil
	}
	found, err := config.LoadDefaultConfig(ctx, config.WithRegion(cfg.Region))
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return found.Credentials, nil
}
