package main_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/devstack/fault"
)

// policy is a file of ops/s3, in the language of AWS, which MinIO speaks too.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid, Effect      string
	Action, Resource []string
}

const arn = "arn:aws:s3:::"

// right is one action on one resource that a policy allows.
type right struct{ file, action, resource string }

func (r right) String() string {
	return r.file + " " + r.action + " " + strings.TrimPrefix(r.resource, arn)
}

func readPolicy(t testing.TB, file string) (p policy) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("ops", "s3", file))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p policy) rights(file string) (all []right) {
	for _, s := range p.Statement {
		for _, resource := range s.Resource {
			for _, action := range s.Action {
				all = append(all, right{file, action, resource})
			}
		}
	}
	return all
}

// policyFiles are all of ops/s3.
func policyFiles(t testing.TB) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("ops", "s3", "*.json"))
	if err != nil || found == nil {
		t.Fatalf("no policies: %v", err)
	}
	for _, f := range found {
		names = append(names, filepath.Base(f))
	}
	return names
}

// allow is a policy of these rights, in few characters: a session has room for 2048.
func allow(rights []right) string {
	byResource := map[string][]string{}
	for _, r := range rights {
		byResource[r.resource] = append(byResource[r.resource], r.action)
	}
	p := policy{Version: "2012-10-17"}
	for resource, actions := range byResource {
		slices.Sort(actions)
		p.Statement = append(p.Statement, statement{Effect: "Allow", Action: slices.Compact(actions), Resource: []string{resource}})
	}
	text, _ := json.Marshal(p) // strings: cannot fail
	return strings.ReplaceAll(string(text), `"Sid":"",`, "")
}

// policyWorld is a MinIO with Sluice's bucket and a partner's, which keep versions.
type policyWorld struct {
	testing.TB
	s3   *devtest.S3
	root *s3.Client
}

func newPolicyWorld(t testing.TB) *policyWorld {
	t.Helper()
	if os.Getenv("SLUICE_TEST_MINIO") == "" {
		t.Skip("the S3 server inside the process has no policies: make test-minio proves them on a MinIO")
	}
	w := &policyWorld{TB: t, s3: devtest.OwnS3(t)}
	c := w.s3.Config
	w.root = s3.New(s3.Options{
		BaseEndpoint: &c.Endpoint, Region: c.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), ""),
	})
	for _, bucket := range []string{"sluice", "partner", "other"} {
		_, err := w.root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
		w.must(err)
	}
	for _, bucket := range []string{"sluice", "partner"} {
		_, err := w.root.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
			Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		w.must(err)
	}
	return w
}

func (w *policyWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// session returns credentials that may do what rights allow, and nothing else.
func (w *policyWorld) session(rights []right) aws.Credentials {
	w.Helper()
	c := w.s3.Config
	client := sts.New(sts.Options{
		BaseEndpoint: &c.Endpoint, Region: c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), ""),
	})
	out, err := client.AssumeRole(w.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/any"), RoleSessionName: aws.String("any"), // MinIO asks for neither
		Policy: aws.String(allow(rights)),
	})
	w.must(err)
	return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}
}

// policyCase is a gateway and a worker on a database of their own.
type policyCase struct {
	*policyWorld
	env             []string // without credentials
	database        string
	gateway, worker *server
	prefix          string    // of the partner's objects
	before          *fault.S3 // between the worker and MinIO
}

func (w *policyWorld) newCase(t testing.TB) *policyCase {
	t.Helper()
	inner := *w
	inner.TB = t
	c := &policyCase{policyWorld: &inner, database: devtest.DSN(t), prefix: "in/" + rand.Text() + "/"}
	var err error
	c.before, err = fault.NewS3(t.Context(), w.s3.Config.Endpoint)
	c.must(err)
	t.Cleanup(func() { c.before.Close() })
	c.env = []string{
		"SLUICE_DATABASE_URL=" + c.database, "SLUICE_S3_ENDPOINT=" + w.s3.Config.Endpoint, "SLUICE_S3_REGION=" + w.s3.Config.Region,
		"SLUICE_S3_BUCKET=sluice", "SLUICE_LOG_FORMAT=json", "SLUICE_SWEEP_GRACE=1s", "SLUICE_WATCH_INTERVAL=1s",
		"SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0", "AWS_EC2_METADATA_DISABLED=true",
	}
	return c
}

// as returns the variables of a process that may do what rights allow.
func (c *policyCase) as(rights []right, more ...string) []string {
	c.Helper()
	key := c.session(rights)
	return slices.Concat(c.env, []string{
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey, "AWS_SESSION_TOKEN=" + key.SessionToken,
	}, more)
}

// start starts both. Where one ends at once for want of a right, what it said is
// returned.
func (c *policyCase) start(gateway, worker []right) (refusal string) {
	c.Helper()
	for _, p := range []struct {
		command string
		rights  []right
		env     []string
		into    **server
	}{
		{"serve", gateway, nil, &c.gateway},
		{"work", worker, []string{"SLUICE_S3_ENDPOINT=" + c.before.URL}, &c.worker},
	} {
		cmd := command(c, c.as(p.rights, p.env...), p.command)
		if slices.ContainsFunc(p.rights, onBucket) {
			*p.into = launch(c, cmd)
			continue
		}
		out, err := cmd.CombinedOutput()
		if err == nil {
			c.Fatalf("sluice %s ended well", p.command)
		}
		return string(out)
	}
	return ""
}

// onBucket tells whether a right lets a process start.
func onBucket(r right) bool { return r.action == "s3:ListBucket" && r.resource == arn+"sluice" }

// outcome waits until yes, and returns "", or until a process says that it was
// denied something, and returns what it said.
func (c *policyCase) outcome(what string, yes func(ctx context.Context) bool) (denied string) {
	c.Helper()
	eventually(c, what, func(ctx context.Context) bool {
		denied = c.denied()
		return denied != "" || yes(ctx)
	})
	return denied
}

// denied returns a line in which a process says so.
func (c *policyCase) denied() string {
	for _, s := range []*server{c.gateway, c.worker} {
		if s == nil {
			continue
		}
		for _, line := range s.tail.all() {
			// One of several objects is refused in an answer of 200.
			if strings.Contains(line, "StatusCode: 403") || strings.Contains(line, ": AccessDenied") {
				return line
			}
		}
	}
	return ""
}

// sends wants a request to be sent while what r is for is done.
func (c *policyCase) sends(r right, rights []right, asks func(*http.Request) bool) {
	c.Helper()
	var sent atomic.Bool
	c.before.Add(fault.Rule{Match: func(r *http.Request) bool {
		if slices.ContainsFunc(bucketsOf(rights), func(bucket string) bool { return strings.HasPrefix(r.URL.Path, "/"+bucket) }) && asks(r) {
			sent.Store(true)
		}
		return false
	}})
	if said := c.try(r, rights); said != "" || !sent.Load() {
		c.Errorf("%s: sent: %t, %s", r, sent.Load(), said)
	}
}

// bucketsOf are the buckets that rights are on.
func bucketsOf(rights []right) (names []string) {
	for _, r := range rights {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.resource, arn), "/")
		names = append(names, name)
	}
	return names
}

// bucket is Sluice's, with every right.
func (c *policyCase) bucket() *blob.Bucket {
	c.Helper()
	cfg := c.s3.Config
	cfg.Bucket = "sluice"
	b, err := blob.New(c.Context(), cfg)
	c.must(err)
	return b
}

// TestS3Policies: with the files of ops/s3 everything works, without any one of
// their rights a feature does not, and says why, and what they do not name is refused.
func TestS3Policies(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t)
	for _, file := range policyFiles(t) {
		rights := readPolicy(t, file).rights(file)
		t.Run(file+" is enough", func(t *testing.T) {
			t.Parallel()
			for _, r := range rights {
				if said := w.newCase(t).try(r, rights); said != "" {
					t.Errorf("%s: %s", r, said)
				}
			}
		})
		for i, r := range rights {
			t.Run("without "+r.String(), func(t *testing.T) {
				t.Parallel()
				c := w.newCase(t)
				if asks := onlyAWS[r.action]; asks != nil {
					c.sends(r, rights, asks)
					return
				}
				said := c.try(r, slices.Delete(slices.Clone(rights), i, i+1))
				if !strings.Contains(said, "403") && !strings.Contains(said, "AccessDenied") && !strings.Contains(said, "may not be") {
					t.Errorf("nothing is missed: %q", said)
				}
				t.Logf("%.300s", said)
			})
		}
	}
}

// TestSecurityNamesEveryRight compares the table of SECURITY.md with the files.
func TestSecurityNamesEveryRight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, file := range policyFiles(t) {
		for _, r := range readPolicy(t, file).rights(file) {
			mark := ""
			if onlyAWS[r.action] != nil {
				mark = "*"
			}
			want = append(want, fmt.Sprintf("| `%s` | `%s`%s | `%s` |", file, r.action, mark, strings.TrimPrefix(r.resource, arn)))
		}
	}
	for line := range strings.Lines(string(text)) {
		if cells := strings.SplitAfterN(line, " |", 4); len(cells) == 4 && strings.Contains(line, "`s3:") {
			if strings.Trim(cells[3], " |\n") == "" {
				t.Errorf("nothing is said of what fails: %s", line)
			}
			got = append(got, strings.Join(cells[:3], ""))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
