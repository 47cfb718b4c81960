package main

import (
	"errors"
	"fmt"
	"log/slog"

	"sluice/internal/issuer"
)

// issuerSettings say whose tokens are taken beside keys.
type issuerSettings struct {
	Issuer      string `name:"jwt-issuer" group:"Tokens" env:"SLUICE_JWT_ISSUER" placeholder:"URL" help:"Whose tokens (JWT) are taken, as with a key: what their iss is. Empty: none are."`
	Audience    string `name:"jwt-audience" group:"Tokens" env:"SLUICE_JWT_AUDIENCE" placeholder:"NAME" help:"What their aud must be, or hold. Needed with an issuer."`
	KeysURL     string `name:"jwt-jwks-url" group:"Tokens" env:"SLUICE_JWT_JWKS_URL" placeholder:"URL" help:"Where the issuer's public keys are. Empty: where its .well-known/openid-configuration says."`
	TenantClaim string `name:"jwt-tenant-claim" group:"Tokens" default:"tenant" env:"SLUICE_JWT_TENANT_CLAIM" help:"The claim that names the tenant."`
	RoleClaim   string `name:"jwt-role-claim" group:"Tokens" default:"role" env:"SLUICE_JWT_ROLE_CLAIM" help:"The claim that names the role: a text of words or a list, one of which is upload, read or admin, with or without sluice: before it."`
}

// check names the setting at fault.
func (s issuerSettings) check() error {
	var errs []error
	if s.Issuer == "" {
		if s.Audience != "" || s.KeysURL != "" {
			errs = append(errs, errors.New("--jwt-issuer (SLUICE_JWT_ISSUER): needed with --jwt-audience and --jwt-jwks-url"))
		}
		return errors.Join(errs...)
	}
	if err := issuer.CheckURL(s.Issuer); err != nil {
		errs = append(errs, fmt.Errorf("--jwt-issuer (SLUICE_JWT_ISSUER): %w", err))
	}
	if s.Audience == "" {
		errs = append(errs, errors.New("--jwt-audience (SLUICE_JWT_AUDIENCE): needed with --jwt-issuer, or tokens for others would be taken"))
	}
	if s.KeysURL != "" {
		if err := issuer.CheckURL(s.KeysURL); err != nil {
			errs = append(errs, fmt.Errorf("--jwt-jwks-url (SLUICE_JWT_JWKS_URL): %w", err))
		}
	}
	return errors.Join(errs...)
}

// openIssuer returns the issuer, nil for none.
func (s issuerSettings) openIssuer(log *slog.Logger) (*issuer.Issuer, error) {
	if s.Issuer == "" {
		return nil, nil //nolint:nilnil // nobody's tokens are taken
	}
	return issuer.New(issuer.Config{
		Issuer: s.Issuer, Audience: s.Audience, KeysURL: s.KeysURL, TenantClaim: s.TenantClaim, RoleClaim: s.RoleClaim, Logger: log,
	})
}
