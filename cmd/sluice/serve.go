package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/gateway"
	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/job"
	"sluice/internal/secret"
	"sluice/internal/upload"
)

const (
	// drainTimeout is what requests under way get at shutdown. An upload that
	// needs longer is cut: what arrived is kept, and its client goes on elsewhere.
	drainTimeout = 10 * time.Second
	// maxHeaderBytes leaves room beside the 16 KiB of an Upload-Metadata.
	maxHeaderBytes = 64 << 10
)

type serveCmd struct {
	HTTPAddr    address       `name:"http-addr" group:"HTTP" default:"127.0.0.1:8080" env:"SLUICE_HTTP_ADDR" help:"Where to listen. Beyond loopback only with a key: sluice keys create, or --api-key."`
	PublicURL   httpURL       `name:"public-url" group:"HTTP" env:"SLUICE_PUBLIC_URL" placeholder:"URL" help:"Base of the URLs handed out, as clients see it. Empty: relative to the URL asked."`
	APIKey      secret.Text   `name:"api-key" group:"HTTP" env:"SLUICE_API_KEY" placeholder:"KEY" help:"One key of the tenant default, of the role admin, beside those of sluice keys. Better given as the variable: other users of a machine can read flags."`
	AdminKey    secret.Text   `name:"admin-key" group:"HTTP" env:"SLUICE_ADMIN_KEY" placeholder:"KEY" help:"Opens /admin/queue/, which shows the work of all tenants, and /metrics. Not the --api-key."`
	DrainDelay  time.Duration `name:"drain-delay" group:"HTTP" default:"250ms" env:"SLUICE_DRAIN_DELAY" help:"How long a gateway that is told to stop says so at /readyz before it takes no more: longer than a balancer asks."`
	CORSOrigins []origin      `name:"cors-origins" group:"HTTP" env:"SLUICE_CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Origins whose pages may call /files and /api, with a key or an upload token of their own."`
	Work        bool          `group:"Worker" env:"SLUICE_WORK" help:"Run a worker in this process too."`
	edgeSettings
	issuerSettings
	hookSettings
	doorSettings
	limitSettings
	workerSettings
	serverSettings
}

// Validate checks the settings before anything runs.
func (c serveCmd) Validate() error {
	errs := []error{c.serverSettings.check(), c.workerSettings.check(), c.doorSettings.check(), c.limitSettings.check(), c.edgeSettings.check(), c.issuerSettings.check()}
	if c.HTTPAddr == "" {
		errs = append(errs, errors.New("--http-addr (SLUICE_HTTP_ADDR): needed, such as 127.0.0.1:8080"))
	}
	if c.AdminKey != "" && c.AdminKey == c.APIKey {
		errs = append(errs, errors.New("--admin-key (SLUICE_ADMIN_KEY): must not be the --api-key (SLUICE_API_KEY), which a tenant has"))
	}
	if c.DrainDelay < 0 {
		errs = append(errs, errors.New("--drain-delay (SLUICE_DRAIN_DELAY): not below 0"))
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends and DrainDelay is over, then drains. The delay is for
// connections too that were made and not accepted yet: a listener that closes
// resets them.
func (c serveCmd) Run(ctx context.Context) error { return unlessStopped(ctx, c.serve(ctx)) }

// unlessStopped returns err, but nil where the process was told to stop while it
// started, and err is that it did.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (c serveCmd) serve(ctx context.Context) error {
	if c.Work {
		c.limitMemory(c.UploadBufferBytes)
	}
	ctx = audit.As(ctx, audit.Worker)
	log := c.logger(os.Stderr)
	st, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer st.close()
	if err := c.admitsSomebody(ctx, st.access); err != nil {
		return err
	}
	hub := job.NewHub(st.pool, log)
	hub.Also(upload.Channel, st.uploads.Heard)
	hub.Also(access.Channel, st.access.Heard)
	queue, err := c.queue(ctx, st)
	if err != nil {
		return err
	}
	cfg := gateway.Config{
		Jobs: st.jobs, Hub: hub, Uploads: st.uploads, Keys: st.keys, Sessions: st.sessions, Access: st.access, Audit: st.audit, Erasures: st.erasures, Bucket: st.bucket, Needs: st.needs(),
		PublicURL: string(c.PublicURL), APIKey: c.APIKey, AdminKey: c.AdminKey, Queue: queue, Origins: texts(c.CORSOrigins), MaxUploadBytes: int64(c.UploadMaxBytes),
		Drops: st.drops, HookSecret: c.HookSecret, WatchAreas: c.areas(),
		Logger: log, Registerer: st.registry, Gatherer: st.registry, Tracer: st.tracer, Version: version(),
	}
	if cfg.Issuer, err = c.openIssuer(log); err != nil {
		return err
	}
	c.doorSettings.apply(&cfg)
	c.edgeSettings.apply(&cfg)
	c.limitSettings.apply(&cfg)
	g, err := gateway.New(cfg)
	if err != nil {
		return err
	}
	server, err := c.server(log, g.Handler())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // longer than ctx, by DrainDelay
	defer end()
	defer context.AfterFunc(ctx, func() {
		g.Leave()
		time.AfterFunc(c.DrainDelay, end)
	})()
	defer context.AfterFunc(serving, st.uploads.Drain)()
	group.Go(func() error { return hub.Run(serving) })
	group.Go(func() error { return listen(serving, log, "gateway", c.HTTPAddr, server) })
	if c.Work {
		group.Go(func() error { return c.work(ctx, st, c.fleetSettings) })
	}
	return group.Wait()
}
