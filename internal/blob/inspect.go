package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Rule is what an enabled lifecycle rule of the bucket does to objects without tags.
type Rule struct {
	ID, Prefix string
	// Expires says that objects are deleted, ExpireDays days after they were
	// written, or at a date where that is 0.
	Expires    bool
	ExpireDays int
	// Moves says that objects go to another storage class.
	Moves bool
	// AbortDays is when multipart uploads that have not ended are given up; 0: never.
	AbortDays int
}

// Lifecycle returns the bucket's enabled rules, none where there are none. A
// server that has no such thing is errors.ErrUnsupported.
func (b *Bucket) Lifecycle(ctx context.Context) ([]Rule, error) {
	out, err := b.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &b.name})
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "NoSuchLifecycleConfiguration":
			return nil, nil
		case "NotImplemented", "MethodNotAllowed", "XNotImplemented":
			return nil, fmt.Errorf("get lifecycle of bucket %s: %w", b.name, errors.ErrUnsupported)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get lifecycle of bucket %s: %w", b.name, err)
	}
	var rules []Rule
	for _, r := range out.Rules {
		if rule, ok := ruleOf(r); ok {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// ruleOf tells what a rule does, and whether it is enabled and for objects
// without tags, which ours are.
func ruleOf(r types.LifecycleRule) (rule Rule, ok bool) {
	rule = Rule{ID: aws.ToString(r.ID), Prefix: aws.ToString(r.Prefix), Moves: len(r.Transitions) > 0} //nolint:staticcheck // older rules have their prefix there
	if f := r.Filter; f != nil {
		if f.Tag != nil || f.And != nil && len(f.And.Tags) > 0 {
			return rule, false
		}
		if f.Prefix != nil {
			rule.Prefix = *f.Prefix
		} else if f.And != nil {
			rule.Prefix = aws.ToString(f.And.Prefix)
		}
	}
	if e := r.Expiration; e != nil {
		rule.ExpireDays = int(aws.ToInt32(e.Days))
		rule.Expires = e.Days != nil || e.Date != nil
	}
	if a := r.AbortIncompleteMultipartUpload; a != nil {
		rule.AbortDays = int(aws.ToInt32(a.DaysAfterInitiation))
	}
	return rule, r.Status == types.ExpirationStatusEnabled
}

// Skew returns how far the server's clock is ahead of this machine's, to a
// second: its answers tell no more.
func (b *Bucket) Skew(ctx context.Context) (time.Duration, error) {
	out, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	if err != nil {
		return 0, fmt.Errorf("head bucket %s: %w", b.name, err)
	}
	server, told := middleware.GetServerTime(out.ResultMetadata)
	answered, _ := middleware.GetResponseAt(out.ResultMetadata)
	if !told {
		return 0, fmt.Errorf("head bucket %s: the answer has no date", b.name)
	}
	return server.Sub(answered).Round(time.Second), nil
}

// Code returns S3's code of an error, such as AccessDenied, or "" for one that is
// not S3's.
func Code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}
