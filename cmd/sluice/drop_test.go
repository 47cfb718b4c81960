package main_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/devstack"
	"sluice/internal/devstack/devtest"
)

// dropWorld is an S3 server that tells of events, a bucket of a partner's on it,
// and the binary's variables.
type dropWorld struct {
	testing.TB
	s3      *devtest.S3
	env     []string
	pool    *pgxpool.Pool
	partner *s3.Client
	dir     string

	mu      sync.Mutex
	gateway *url.URL // events go there; nil: they are lost
}

const hookSecret = "hush"

func newDropWorld(t testing.TB) *dropWorld {
	t.Helper()
	w := &dropWorld{TB: t, dir: t.TempDir()}
	relay := httptest.NewServer(http.HandlerFunc(w.relay))
	t.Cleanup(relay.Close)
	w.s3 = devtest.OwnS3(t, func(c *devstack.S3Config) {
		c.Events = strings.Replace(relay.URL, "://", "://sluice:"+hookSecret+"@", 1) + "/hooks/s3"
	})
	cfg := w.s3.Config
	w.pool = devtest.Database(t)
	w.env = []string{
		"SLUICE_DATABASE_URL=" + w.pool.Config().ConnString(),
		"SLUICE_S3_ENDPOINT=" + cfg.Endpoint, "SLUICE_S3_REGION=" + cfg.Region, "SLUICE_S3_BUCKET=" + cfg.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID=" + cfg.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + cfg.SecretAccessKey.Reveal(),
		"SLUICE_HOOK_SECRET=" + hookSecret,
	}
	w.partner = s3.New(s3.Options{
		BaseEndpoint: &cfg.Endpoint, Region: cfg.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""),
	})
	_, err := w.partner.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("drops")})
	w.must(err)
	if os.Getenv("SLUICE_TEST_MINIO") == "" {
		return w // it tells of every bucket
	}
	_, err = w.partner.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String("drops"), NotificationConfiguration: &types.NotificationConfiguration{
			QueueConfigurations: []types.QueueConfiguration{{
				QueueArn: aws.String(devstack.MinIOEvents), Events: []types.Event{"s3:ObjectCreated:*"},
			}},
		},
	})
	w.must(err)
	return w
}

// relay hands an event on, or loses it.
func (w *dropWorld) relay(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	gateway := w.gateway
	w.mu.Unlock()
	if gateway == nil {
		return
	}
	through := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(gateway) }}
	through.ServeHTTP(rw, r)
}

// events has events go to a server, or be lost where it is nil.
func (w *dropWorld) events(to *server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gateway = nil
	if to != nil {
		var err error
		w.gateway, err = url.Parse(to.url)
		w.must(err)
	}
}

func (w *dropWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// run runs the binary with args, which must succeed.
func (w *dropWorld) run(args ...string) {
	w.Helper()
	if out, err := command(w, w.env, args...).CombinedOutput(); err != nil {
		w.Fatalf("sluice %v: %v\n%s", args, err, out)
	}
}

func (w *dropWorld) count(from string, args ...any) (n int) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), "SELECT count(*) FROM "+from, args...).Scan(&n))
	return n
}

// file writes a file that no other has the content of.
func (w *dropWorld) file(name string) string {
	w.Helper()
	path := filepath.Join(w.dir, name)
	w.must(os.WriteFile(path, []byte("account_id,date,amount\n"+name+",2024-01-01,10.00\n"), 0o600))
	return path
}

// wantJob waits until the object has ended, well, and has had one job.
func (w *dropWorld) wantJob(key string) {
	w.Helper()
	eventually(w, key, func(context.Context) bool {
		return w.count("drops JOIN jobs ON jobs.id = drops.job_id WHERE object_key = $1 AND state = 'JOB_COMPLETE'", key) > 0
	})
	if n := w.count("drops WHERE object_key = $1", key); n != 1 {
		w.Errorf("%s has %d jobs", key, n)
	}
}

// s3Clients write a file to drops/ and a key, each as its documentation says.
var s3Clients = map[string]func(w *dropWorld, path, key string) *exec.Cmd{
	"aws": func(w *dropWorld, path, key string) *exec.Cmd {
		return exec.CommandContext(w.Context(), "aws", "--endpoint-url", w.s3.Config.Endpoint, "s3", "cp", "--no-progress", path, "s3://drops/"+key)
	},
	"s3cmd": func(w *dropWorld, path, key string) *exec.Cmd {
		c := w.s3.Config
		host := strings.TrimPrefix(c.Endpoint, "http://")
		return exec.CommandContext(w.Context(), "s3cmd", "--config=/dev/null", "--no-ssl", "--host="+host, "--host-bucket="+host, "--region="+c.Region,
			"--access_key="+c.AccessKeyID, "--secret_key="+c.SecretAccessKey.Reveal(), "put", path, "s3://drops/"+key)
	},
	"rclone": func(w *dropWorld, path, key string) *exec.Cmd {
		c := w.s3.Config
		return exec.CommandContext(w.Context(), "rclone", "--config=/dev/null", "copyto", path, ":s3:drops/"+key, "--s3-provider=Other", "--s3-env-auth=true", "--s3-endpoint="+c.Endpoint, "--s3-region="+c.Region)
	},
	"mc": func(w *dropWorld, path, key string) *exec.Cmd {
		return exec.CommandContext(w.Context(), "mc", "--config-dir="+w.dir, "cp", "--quiet", path, "drop/drops/"+key)
	},
}

// drop has a client write a file. false: the client is not on this machine.
func (w *dropWorld) drop(name, path, key string) bool {
	w.Helper()
	c := w.s3.Config
	cmd := s3Clients[name](w, path, key)
	if tool, err := filepath.Abs("../../.bin/" + name); cmd.Err != nil && err == nil {
		if _, err := os.Stat(tool); err == nil {
			cmd.Path, cmd.Err = tool, nil
		}
	}
	if cmd.Err != nil {
		return false
	}
	cmd.Env = []string{
		"HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "AWS_DEFAULT_REGION=" + c.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey.Reveal(),
		"MC_HOST_drop=" + strings.Replace(c.Endpoint, "://", "://"+c.AccessKeyID+":"+c.SecretAccessKey.Reveal()+"@", 1),
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		if name == "mc" && !strings.Contains(string(out), "drops/") {
			return false // Debian's mc is another program
		}
		w.Fatalf("%s: %v\n%s", name, err, out)
	}
	return true
}

// Whatever client a partner writes with: each object is exactly one job, found by
// its event while no listing runs, and by a listing while no event comes.
func TestClientsDrop(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	w.run("watch", "add", "drops/in/", "--suffix", ".csv")
	gateway := serve(t, append(w.env, "SLUICE_WATCH_INTERVAL=24h"), "127.0.0.1:0")
	eventually(t, "the first listing", func(context.Context) bool { return w.count("watches WHERE listed_at IS NOT NULL") == 1 })
	w.events(gateway)
	var there []string
	for name := range s3Clients {
		key := "in/event " + name + ".csv"
		if !w.drop(name, w.file(name+"-event.csv"), key) {
			t.Logf("%s is not on this machine, and is not tried", name)
			continue
		}
		written := time.Now()
		w.wantJob(key)
		t.Logf("%s: its job was done %v after the client, by event", name, time.Since(written).Round(time.Millisecond))
		there = append(there, name)
	}
	if n := w.count("watches WHERE listed_at IS NULL OR list_at < now() + interval '1 hour'"); n != 0 {
		t.Error("a listing ran, and may have found what events should have")
	}
	w.events(nil)
	gateway.stop(t)
	w.must(w.exec("UPDATE watches SET list_at = now()"))
	gateway = serve(t, append(w.env, "SLUICE_WATCH_INTERVAL=4s"), "127.0.0.1:0")
	for _, name := range there {
		key := "in/list " + name + ".csv"
		w.drop(name, w.file(name+"-list.csv"), key)
		written := time.Now()
		w.wantJob(key)
		t.Logf("%s: its job was done %v after the client, by a listing every 4 s", name, time.Since(written).Round(time.Millisecond))
	}
	if n := w.count("jobs"); n != 2*len(there) {
		t.Errorf("%d jobs of %d objects", n, 2*len(there))
	}
	gateway.stop(t)
}

func (w *dropWorld) exec(sql string, args ...any) error {
	_, err := w.pool.Exec(w.Context(), sql, args...)
	return err
}

// dropCycles is how often everything is killed while objects are taken in.
const dropCycles = 3

// Gateway and worker are killed again and again while objects come, events are sent
// until they are taken, some are lost, and what was processed is deleted: each
// version is one job, ends well, and is gone; nothing else is.
func TestDropsSurviveKills(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	_, err := w.partner.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String("drops"), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	w.must(err)
	w.put("out/keep.csv", "not watched")
	w.run("watch", "add", "drops/in/", "--after", "delete")
	w.run("watch", "add", "drops/ordered/", "--after", "move", "--move-to", "done/", "--in-order")
	env := append(w.env, "SLUICE_WATCH_INTERVAL=1s", "SLUICE_LEASE_EXPIRY=2s", "SLUICE_WORKER_CONCURRENCY=1")
	const objects = 16
	for cycle := range dropCycles {
		running := serve(t, env, "127.0.0.1:0")
		if cycle%2 == 0 {
			w.events(running)
		}
		for i := range objects {
			prefix := "in/"
			if i%4 == 0 {
				prefix = "ordered/"
			}
			w.put(fmt.Sprintf("%s%d-%d.csv", prefix, cycle, i%12), fmt.Sprintf("account_id,date,amount\n%d,2024-01-01,%d\n", cycle, i))
		}
		some := cycle*objects + 3*(cycle+1)
		eventually(t, "some to end", func(context.Context) bool { return w.count("jobs WHERE completed_at IS NOT NULL") >= some })
		w.events(nil)
		running.kill(t)
	}
	w.must(w.exec("UPDATE drops SET act_at = now()")) // what was begun is due again in two minutes
	last := serve(t, env, "127.0.0.1:0")
	eventually(t, "all to be done", func(context.Context) bool { return w.count("drops WHERE done") == dropCycles*objects })
	last.stop(t)
	if n := w.count("jobs WHERE state = 'JOB_COMPLETE'"); n != dropCycles*objects || w.count("jobs") != n {
		t.Errorf("%d of %d jobs ended well, want %d", n, w.count("jobs"), dropCycles*objects)
	}
	if n := w.count("drops WHERE outcome NOT IN ('moved', 'deleted', 'gone: it was deleted or replaced before')"); n != 0 {
		t.Errorf("%d objects were not disposed of", n)
	}
	out, err := w.partner.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("drops")})
	w.must(err)
	done := map[string]bool{} // a copy that was made twice is two versions of one
	for _, v := range out.Versions {
		if strings.HasPrefix(*v.Key, "done/") {
			done[*v.Key] = true
		} else if *v.Key != "out/keep.csv" {
			t.Errorf("%s is left", *v.Key)
		}
	}
	if moved := w.count("drops WHERE object_key LIKE 'ordered/%'"); len(done) != moved {
		t.Errorf("%d objects under done/, want %d", len(done), moved)
	}
}

func (w *dropWorld) put(key, content string) {
	w.Helper()
	_, err := w.partner.PutObject(w.Context(), &s3.PutObjectInput{Bucket: aws.String("drops"), Key: &key, Body: strings.NewReader(content)})
	w.must(err)
}
