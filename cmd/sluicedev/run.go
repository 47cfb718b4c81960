package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"sluice/internal/devstack"
)

// database is the product's, in our own server.
const database = "sluice"

// run is everything from start to clean stop. Until all is ready an error is the
// sentence for the user.
func run(ctx context.Context, addr, dir string, out io.Writer, log *slog.Logger) error {
	prod, err := findProduct()
	if err != nil {
		return err
	}
	if addr, err = checkAddr(ctx, addr); err != nil {
		return err
	}
	data, err := openDataDir(dir)
	if err != nil {
		return err
	}
	defer data.lock.Close()
	if err := devstack.EnsurePostgres(ctx, out); err != nil {
		return err
	}
	prod.url = "http://" + reachable(addr)

	pgConfig := devstack.PostgresConfig{Dir: filepath.Join(data.path, "postgres"), Logger: log}
	pg, err := keepPostgres(ctx, log, pgConfig)
	if err != nil {
		return err
	}
	defer pg.stop()
	s3, err := devstack.StartS3(ctx, devstack.S3Config{Dir: filepath.Join(data.path, "s3")})
	if err != nil {
		return err
	}
	defer stopS3(ctx, s3, log)
	prod.env = environment(addr, pgConfig.DSN(database), s3)
	if err := prod.migrate(ctx); err != nil {
		return err
	}
	sluice, err := keep(ctx, log, "sluice", prod.serve)
	if err != nil {
		return err
	}
	defer sluice.stop()

	fmt.Fprint(out, greeting(prod.url, data.path))
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "Stopping; the data stays in "+data.path+".")
		return nil
	case <-s3.Done():
		return errors.New("the S3 server ended by itself")
	}
}

// keepPostgres starts the server, with the product's database, and keeps it.
func keepPostgres(ctx context.Context, log *slog.Logger, cfg devstack.PostgresConfig) (*kept, error) {
	pg, err := keep(ctx, log, "postgres", func(ctx context.Context) (service, error) {
		pg, err := devstack.StartPostgres(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err := pg.CreateDatabase(ctx, database); err != nil {
			return nil, errors.Join(err, pg.Stop(ctx))
		}
		return pg, nil
	})
	if errors.Is(err, devstack.ErrUnreachable) || errors.Is(err, devstack.ErrPathTooLong) {
		return nil, fmt.Errorf("%w: set SLUICE_DATA_DIR to another folder, such as /var/lib/sluice", err)
	}
	return pg, err
}

func stopS3(ctx context.Context, s3 *devstack.S3, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if err := s3.Stop(ctx); err != nil {
		log.WarnContext(ctx, "a service did not stop cleanly", "service", "s3", "err", err)
	}
}

// environment tells the product where its neighbours are.
func environment(addr, dsn string, s3 *devstack.S3) []string {
	return []string{
		"SLUICE_HTTP_ADDR=" + addr,
		"SLUICE_DATABASE_URL=" + dsn,
		"SLUICE_S3_ENDPOINT=" + s3.Endpoint,
		"SLUICE_S3_REGION=" + s3.Region,
		"SLUICE_S3_BUCKET=sluice",
		"SLUICE_S3_ACCESS_KEY_ID=" + s3.AccessKeyID,
		"SLUICE_S3_SECRET_ACCESS_KEY=" + s3.SecretAccessKey,
		"SLUICE_S3_PATH_STYLE=true",
		"SLUICE_S3_CREATE_BUCKET=true",
	}
}

// reachable is addr as a client on this machine dials it.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
