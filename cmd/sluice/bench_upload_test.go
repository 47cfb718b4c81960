package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"github.com/tus/tusd/v2/pkg/s3store"
	tusslog "golang.org/x/exp/slog"
	"golang.org/x/sync/errgroup"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/devstack/fault"
	"sluice/internal/secret"
)

// roleArg makes the test's executable one side of a comparison, in a process of
// its own: what follows is a role in JSON.
const roleArg = "bench-upload="

// role is a process of the comparison.
type role struct {
	Name   string // tusd, tus, sdk, or flood
	S3     blob.Config
	Secret string // S3's, which the JSON of S3 has not
	URL    string // tus and flood: of /files/
	Bytes  int64  // to upload
	Patch  int64  // tus: bytes in one PATCH
	Flood  flood  // flood: how much
}

// play plays a role and ends the process, if args ask for it.
func play(args []string) {
	if len(args) != 2 || !strings.HasPrefix(args[1], roleArg) {
		return
	}
	var r role
	err := json.Unmarshal([]byte(strings.TrimPrefix(args[1], roleArg)), &r)
	r.S3.SecretAccessKey = secret.Text(r.Secret)
	if err == nil {
		err = map[string]func(role) error{"tusd": playTusd, "tus": playTus, "sdk": playSDK, "flood": playFlood}[r.Name](r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (r role) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &r.S3.Endpoint, Region: r.S3.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(r.S3.AccessKeyID, r.S3.SecretAccessKey.Reveal(), ""),
	})
}

// playTusd is stock tusd with its s3store.
func playTusd(r role) error {
	composer := handler.NewStoreComposer()
	s3store.New(r.S3.Bucket, r.client()).UseIn(composer)
	memorylocker.New().UseIn(composer)
	tus, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: composer, Logger: tusslog.New(tusslog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	return http.ListenAndServe(r.URL, http.StripPrefix("/files", tus))
}

// playTus uploads by tus.
func playTus(r role) error {
	id, err := tusRequest(http.MethodPost, r.URL, http.NoBody, 0, "Upload-Length", strconv.FormatInt(r.Bytes, 10))
	for at := int64(0); err == nil && at < r.Bytes; at += r.Patch {
		n := min(r.Patch, r.Bytes-at)
		_, err = tusRequest(http.MethodPatch, r.URL+id, io.NewSectionReader(pattern{}, at, n), n, "Upload-Offset", strconv.FormatInt(at, 10))
	}
	return err
}

// playSDK uploads by the SDK's transfer manager.
func playSDK(r role) error {
	key := "sdk"
	_, err := transfermanager.New(r.client()).UploadObject(context.Background(), &transfermanager.UploadObjectInput{
		Bucket: &r.S3.Bucket, Key: &key, Body: io.NewSectionReader(pattern{}, 0, r.Bytes),
	})
	return err
}

// tusRequest returns the id in Location, if any.
func tusRequest(method, url string, body io.Reader, length int64, header ...string) (id string, err error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return "", err
	}
	req.ContentLength = length
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // only shown
	if resp.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s %s: %s %s", method, url, resp.Status, text)
	}
	return path.Base(resp.Header.Get("Location")), nil
}

// pattern is a file without end, of noise that repeats.
type pattern struct{}

var noise = func() []byte {
	p := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(p) // it never fails
	return p
}()

// ReadAt fills p.
func (pattern) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], noise[(at+int64(n))%int64(len(noise)):])
	}
	return n, nil
}

// TestBenchUpload compares ways to get the same bytes into the same S3 server;
// `make bench-upload` says how many.
func TestBenchUpload(t *testing.T) {
	if os.Getenv("SLUICE_BENCH_UPLOAD_BYTES") == "" {
		t.Skip("a comparison and no test: `make bench-upload` runs it")
	}
	size := atoi(t, os.Getenv("SLUICE_BENCH_UPLOAD_BYTES"))
	sluice, stop := startSluice(t)
	fmt.Printf("%-34s %8s %14s %14s %10s %8s\n", "", "MB/s", "server CPU-s", "client CPU-s", "peak RSS", "S3 calls")
	fmt.Printf("%-34s %8s %14s %14s %10s %8s\n", "", "", "per GiB", "per GiB", "MiB", "/8 MiB")
	for _, patch := range []int64{size, 8 << 20} {
		measure(t, "sluice", sluice, role{Name: "tus", Bytes: size, Patch: patch})
	}
	stop()
	for _, patch := range []int64{size, 8 << 20} {
		tusd, stop := startTusd(t)
		measure(t, "tusd and s3store", tusd, role{Name: "tus", Bytes: size, Patch: patch})
		stop()
	}
	measure(t, "the SDK straight to S3", benched{s3: devtest.S3Config(t)}, role{Name: "sdk", Bytes: size})
	for name, start := range map[string]func(testing.TB) (benched, func()){"sluice": startSluice, "tusd and s3store": startTusd} {
		b, stop := start(t)
		smallFiles(t, name, b)
		stop()
	}
	manyUploads(t)
	besideSlow(t, min(size, 256<<20)) // many times over: of 1 GiB its disk would be full of them
}

// benched is a server under comparison; without one, S3 alone.
type benched struct {
	url string // of /files/
	pid int
	s3  blob.Config
}

func startSluice(t testing.TB) (benched, func()) {
	t.Helper()
	env := stackEnv(t)
	s := launch(t, command(t, append(env, "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve"))
	return benched{url: s.url + "/files/", pid: s.cmd.Process.Pid}, func() { s.stop(t) }
}

func startTusd(t testing.TB) (benched, func()) {
	t.Helper()
	return tusdBefore(t, devtest.S3Config(t))
}

func tusdBefore(t testing.TB, cfg blob.Config) (benched, func()) {
	t.Helper()
	addr := freeAddr(t)
	cmd := roleCommand(t, role{Name: "tusd", S3: cfg, URL: addr})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "tusd", func(context.Context) bool {
		resp, err := http.Get("http://" + addr + "/files/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return benched{url: "http://" + addr + "/files/", pid: cmd.Process.Pid}, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as asked
	}
}

func roleCommand(t testing.TB, r role) *exec.Cmd {
	t.Helper()
	r.Secret = r.S3.SecretAccessKey.Reveal()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], roleArg+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// measure plays the client and prints what it took.
func measure(t testing.TB, name string, b benched, client role) {
	t.Helper()
	client.S3, client.URL = b.s3, b.url
	cmd, before, begun := roleCommand(t, client), cpuOf(t, b.pid), time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	took, gib := time.Since(begun).Seconds(), float64(client.Bytes)/(1<<30)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	own := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	calls := "-"
	if b.pid != 0 && client.Patch == 8<<20 {
		calls = callsPerPatch(t, name)
	}
	if client.Name == "tus" {
		name += map[bool]string{true: ", PATCHes of 8 MiB", false: ", one PATCH"}[client.Patch == 8<<20]
	}
	peak := usage.Maxrss >> 10
	if b.pid != 0 {
		peak = peakOf(t, b.pid)
	}
	fmt.Printf("%-34s %8.0f %14.2f %14.2f %10d %8s\n", name, float64(client.Bytes)/1e6/took, (cpuOf(t, b.pid)-before)/gib, own/gib, peak, calls)
}

// callsPerPatch counts, by a proxy and apart from the measurement.
func callsPerPatch(t testing.TB, name string) string {
	t.Helper()
	cfg := devtest.S3Config(t)
	proxy, err := fault.NewS3(t.Context(), cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	cfg.Endpoint = proxy.URL
	const patches = 16
	count := func(url string) string {
		before := total(proxy.Calls())
		if err := playTus(role{URL: url, Bytes: patches * 8 << 20, Patch: 8 << 20}); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%.1f", float64(total(proxy.Calls())-before)/patches)
	}
	if name == "sluice" {
		env := []string{
			"SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_DATABASE_URL=" + devtest.DSN(t), "SLUICE_S3_ENDPOINT=" + cfg.Endpoint,
			"SLUICE_S3_REGION=" + cfg.Region, "SLUICE_S3_BUCKET=" + cfg.Bucket,
			"SLUICE_S3_ACCESS_KEY_ID=" + cfg.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + cfg.SecretAccessKey.Reveal(),
		}
		s := launch(t, command(t, env, "serve"))
		defer s.stop(t)
		return count(s.url + "/files/")
	}
	b, stop := tusdBefore(t, cfg)
	defer stop()
	return count(b.url)
}

func total(calls map[string]int) (n int) {
	for _, m := range calls {
		n += m
	}
	return n
}

// smallFiles creates and completes files of 64 KiB, sixteen at a time.
func smallFiles(t testing.TB, name string, b benched) {
	t.Helper()
	const files, size = 1000, 64 << 10
	var group errgroup.Group
	group.SetLimit(16)
	before, begun := cpuOf(t, b.pid), time.Now()
	for range files {
		group.Go(func() error { return playTus(role{URL: b.url, Bytes: size, Patch: size}) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s: %.0f files of 64 KiB created and completed per second, %.2f server CPU-ms each\n",
		name, files/time.Since(begun).Seconds(), (cpuOf(t, b.pid)-before)*1e3/files)
}

// manyUploads is a thousand clients at once, whose lines break at random bytes.
// It is also a test: of errors, of which there may be none, and of memory.
func manyUploads(t testing.TB) {
	t.Helper()
	const clients, size, most = 1000, 256 << 10, 384 // MiB
	b, stop := startSluice(t)
	defer stop()
	var group errgroup.Group
	before, begun := cpuOf(t, b.pid), time.Now()
	for seed := range clients {
		group.Go(func() error { return uploadCut(t.Context(), strings.TrimSuffix(b.url, "/files/"), size, uint64(seed)) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	peak := peakOf(t, b.pid)
	fmt.Printf("sluice: %d clients at once, 256 KiB each, cut at random: %.1f s, %.1f server CPU-s, peak RSS %d MiB, no error\n",
		clients, time.Since(begun).Seconds(), cpuOf(t, b.pid)-before, peak)
	if peak >= most {
		t.Errorf("the gateway took %d MiB, want less than %d", peak, most)
	}
}

// uploadCut uploads by a line that is cut twice.
func uploadCut(ctx context.Context, gateway string, size int64, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 3))
	line, err := fault.NewLine(ctx, strings.TrimPrefix(gateway, "http://"))
	if err != nil {
		return err
	}
	defer line.Close()
	s := &sender{
		base: "http://" + line.Addr, patience: 3000, random: r, file: noise[:size],
		http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if err := s.create(ctx); err != nil {
		return err
	}
	line.After(r.Int64N(size), func() {
		line.Cut()
		line.After(r.Int64N(size/2), line.Cut)
	})
	return s.send(ctx)
}

// cpuOf is the CPU time that a process has used, in seconds; 0 of none.
func cpuOf(t testing.TB, pid int) float64 {
	t.Helper()
	if pid == 0 {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	const ticks = 100 // a second: USER_HZ, proc(5)
	return float64(atoi(t, fields[11])+atoi(t, fields[12])) / ticks
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakOf is the most memory that a process has held, in MiB.
func peakOf(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return atoi(t, peakLine.FindStringSubmatch(string(status))[1]) >> 10
}

func freeAddr(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
