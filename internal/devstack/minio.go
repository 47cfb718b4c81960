package devstack

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// StartMinIO is [StartS3] of a MinIO, whose binary is given: a child process,
// which cannot outlive this one, and of which there may be several. Events are sent
// of buckets that are told to notify [MinIOEvents].
func StartMinIO(ctx context.Context, binary string, cfg S3Config) (*S3, error) {
	return startS3(ctx, cfg, func(ctx context.Context, dir string, cfg S3Config) (*S3, error) {
		return serveMinIO(ctx, binary, dir, cfg)
	})
}

// MinIOKey is the name of the one key by which a MinIO encrypts what it is asked to.
const MinIOKey = "sluice"

// MinIOEvents is the name under which a MinIO knows S3Config.Events.
const MinIOEvents = "arn:minio:sqs::SLUICE:webhook"

func serveMinIO(ctx context.Context, binary, dir string, cfg S3Config) (*S3, error) {
	s, err := newS3(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "minio.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	// Not ctx's: the server lives until it is stopped.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "server", "--quiet",
		"--address", strings.TrimPrefix(s.Endpoint, "http://"), "--certs-dir", filepath.Join(dir, "certs"), s.Objects)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{
		"HOME=" + dir, "MINIO_ROOT_USER=" + s.AccessKeyID, "MINIO_ROOT_PASSWORD=" + s.SecretAccessKey,
		"MINIO_KMS_SECRET_KEY=" + MinIOKey + ":" + base64.StdEncoding.EncodeToString(make([]byte, 32)), // for tests: it protects nothing
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_CI_CD=1", // or it refuses a folder of the root disk
	}
	if cfg.Events != "" {
		events, err := url.Parse(cfg.Events)
		if err != nil {
			return nil, fmt.Errorf("parse URL of events: %w", err)
		}
		secret, _ := events.User.Password()
		events.User = nil
		cmd.Env = append(cmd.Env, "MINIO_NOTIFY_WEBHOOK_ENABLE_SLUICE=on",
			"MINIO_NOTIFY_WEBHOOK_ENDPOINT_SLUICE="+events.String(), "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SLUICE="+secret)
	}
	proc, err := StartProcess(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	s.cancel = func() { _ = proc.cmd.Process.Signal(syscall.SIGTERM) }
	go func() {
		defer close(s.done)
		s.err = proc.Err()
	}()
	if err := s.awaitHealthy(ctx, s.Endpoint+"/minio/health/cluster"); err != nil {
		_ = proc.cmd.Process.Kill()
		return nil, fmt.Errorf("%w (log: %s)", err, log.Name())
	}
	return s, nil
}
