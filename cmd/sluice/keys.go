package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/access"
)

// keysCmd is an operator's: it reaches the database, and so every tenant.
type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key of a tenant's, and show it this once."`
	List   keysListCmd   `cmd:"" help:"List the keys by how they begin, also those that open nothing any more."`
	Rotate keysRotateCmd `cmd:"" help:"Make a key in another's place, and show it this once; the other goes on for --grace."`
	Revoke keysRevokeCmd `cmd:"" help:"End keys at once, with the sessions that were begun with them."`
}

// accessSettings are of the commands about keys.
type accessSettings struct {
	JSON bool `name:"json" help:"One JSON object per key, a line each."`
	ledgerSettings
}

// withKeys calls fn with the keys of the database.
func (s accessSettings) withKeys(ctx context.Context, fn func(*access.Store) error) error {
	return s.withPool(ctx, func(st *stack) error {
		keys, err := access.New(access.Config{Pool: st.pool, Logger: s.logger(os.Stderr)})
		if err != nil {
			return err
		}
		return fn(keys)
	})
}

type keysCreateCmd struct {
	Tenant  string        `default:"default" help:"Whose key it is: 1 to 64 letters, digits, and . _ - behind the first."`
	Role    string        `required:"" enum:"upload,read,admin" help:"What it may do: upload, read or admin; docs/keys.md says what that is."`
	Name    string        `help:"What you call it, to know it by in the list."`
	Expires time.Duration `placeholder:"TIME" help:"How long it is good for, such as 2160h; without it, until it is revoked."`
	accessSettings
}

// Validate checks the settings before anything runs.
func (c keysCreateCmd) Validate() error {
	errs := []error{c.databaseSettings.check(), checkTenant("--tenant", c.Tenant)}
	if c.Expires < 0 {
		errs = append(errs, errors.New("--expires: not below 0"))
	}
	return errors.Join(errs...)
}

// checkTenant refuses a name that no tenant can have, as that argument or flag.
func checkTenant(of, name string) error {
	if access.ValidTenant(name) {
		return nil
	}
	return fmt.Errorf("%s: %q is not 1 to 64 letters, digits, and . _ - behind the first", of, name)
}

// Run makes the key and prints it.
func (c keysCreateCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withKeys(ctx, func(keys *access.Store) error {
		made, err := keys.Create(ctx, access.Draft{Tenant: c.Tenant, Role: access.Role(c.Role), Name: c.Name, Lifetime: c.Expires})
		if err != nil {
			return fmt.Errorf("create key: %w", err)
		}
		return c.show(k, made)
	})
}

// show prints a new key: alone on its line, so that it can be put into a variable.
func (s accessSettings) show(k *kong.Kong, made access.NewKey) error {
	if s.JSON {
		return printLine(k, keyJSON{Key: made.Text, keyLine: lineOf(made.Key)})
	}
	if _, err := fmt.Fprintln(k.Stdout, made.Text); err != nil {
		return err
	}
	_, err := fmt.Fprintf(k.Stderr, "%s, of the role %s of tenant %s. It is shown this once; keep it.\n", made.ID, made.Role, made.Tenant)
	return err
}

type keysListCmd struct {
	Tenant string `help:"Only this tenant's."`
	accessSettings
}

// Validate checks the settings before anything runs.
func (c keysListCmd) Validate() error { return c.databaseSettings.check() }

// Run prints one line for each key, by tenant and age.
func (c keysListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withKeys(ctx, func(keys *access.Store) error {
		list, err := keys.List(ctx, c.Tenant)
		if err != nil {
			return err
		}
		if !c.JSON {
			return printKeys(k, list)
		}
		for _, key := range list {
			if err := printLine(k, lineOf(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

type keysRotateCmd struct {
	ID    string        `arg:"" name:"id" help:"How the key begins, as the list shows it."`
	Grace time.Duration `default:"24h" help:"How long the old key goes on, unless it ends sooner; 0s: not at all."`
	accessSettings
}

// Validate checks the settings before anything runs.
func (c keysRotateCmd) Validate() error {
	err := c.databaseSettings.check()
	if c.Grace < 0 {
		err = errors.Join(err, errors.New("--grace: not below 0"))
	}
	return err
}

// Run makes the new key and prints it.
func (c keysRotateCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withKeys(ctx, func(keys *access.Store) error {
		made, err := keys.Rotate(ctx, c.ID, c.Grace)
		if err != nil {
			return fmt.Errorf("rotate %s: %w", c.ID, err)
		}
		return c.show(k, made)
	})
}

type keysRevokeCmd struct {
	IDs []string `arg:"" name:"id" help:"How the keys begin, as the list shows them."`
	accessSettings
}

// Validate checks the settings before anything runs.
func (c keysRevokeCmd) Validate() error { return c.databaseSettings.check() }

// Run revokes each key, also those behind one that is not there.
func (c keysRevokeCmd) Run(ctx context.Context) error {
	return c.withKeys(ctx, func(keys *access.Store) error {
		var errs []error
		for _, id := range c.IDs {
			if err := keys.Revoke(ctx, id); err != nil {
				errs = append(errs, fmt.Errorf("revoke %s: %w", id, err))
			}
		}
		return errors.Join(errs...)
	})
}

// keyLine is a key as a line.
type keyLine struct {
	ID         string     `json:"id"`
	Tenant     string     `json:"tenant"`
	Role       string     `json:"role"`
	Name       string     `json:"name"`
	Live       bool       `json:"live"`
	CreatedAt  *time.Time `json:"created_at"`
	UsedAt     *time.Time `json:"used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	ReplacedBy *string    `json:"replaced_by"`
}

// keyJSON is the same with the key itself, shown once.
type keyJSON struct {
	Key string `json:"key"`
	keyLine
}

func lineOf(k access.Key) keyLine {
	line := keyLine{
		ID: k.ID, Tenant: k.Tenant, Role: string(k.Role), Name: k.Name, Live: k.Live,
		CreatedAt: known(k.CreatedAt), UsedAt: known(k.UsedAt), ExpiresAt: known(k.ExpiresAt), RevokedAt: known(k.RevokedAt),
	}
	if k.ReplacedBy != "" {
		line.ReplacedBy = &k.ReplacedBy
	}
	return line
}

// known returns nil for no time.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return new(at.UTC())
}

// printKeys prints the keys as a table.
func printKeys(k *kong.Kong, list []access.Key) error {
	w := tabwriter.NewWriter(k.Stdout, 0, 0, 2, ' ', 0)
	// What is written to w is kept there until Flush, which says what went wrong.
	_, _ = fmt.Fprintln(w, "ID\tTENANT\tROLE\tSTATE\tUSED\tEXPIRES\tNAME")
	for _, key := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%q\n", key.ID, key.Tenant, key.Role, stateOf(key), dateOr(key.UsedAt, "never"), dateOr(key.ExpiresAt, "never"), key.Name)
	}
	return w.Flush()
}

func stateOf(k access.Key) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.Live:
		return "expired"
	case k.ReplacedBy != "":
		return "rotated"
	}
	return "live"
}

func dateOr(at time.Time, none string) string {
	if at.IsZero() {
		return none
	}
	return at.UTC().Format(time.RFC3339)
}

// admitsSomebody refuses to be reached from other machines where no key of any kind
// is asked for. Only the database tells whether there is one.
func (c serveCmd) admitsSomebody(ctx context.Context, keys *access.Store) error {
	if c.APIKey != "" || c.Issuer != "" {
		return nil
	}
	// Asked on loopback too: a gateway that knows of a key needs no database to say so.
	is, err := keys.Any(ctx)
	if err != nil || is || c.HTTPAddr.loopback() {
		return err
	}
	return exitError{fmt.Errorf("a key is needed, for --http-addr (SLUICE_HTTP_ADDR) %s can be reached from other machines: sluice keys create, --api-key (SLUICE_API_KEY) or --jwt-issuer (SLUICE_JWT_ISSUER)", c.HTTPAddr), exitUsage}
}
