package main

import (
	"errors"
	"net/netip"

	"sluice/gateway"
)

// limitSettings bound what one gateway takes of a tenant and of an address. What may
// be stored is bounded by sluice tenants set.
type limitSettings struct {
	TenantRequests  int            `group:"Limits" default:"1000" env:"SLUICE_TENANT_REQUESTS" help:"Requests of one tenant that bring bytes under way at a time; 0: no limit."`
	TenantRate      float64        `group:"Limits" default:"1000" env:"SLUICE_TENANT_RATE" help:"Requests of one tenant that begin in a second, and at once; 0: no limit."`
	AddressRequests int            `group:"Limits" default:"0" env:"SLUICE_ADDRESS_REQUESTS" help:"Requests of one address under way at a time; 0: no limit."`
	AddressRate     float64        `group:"Limits" default:"0" env:"SLUICE_ADDRESS_RATE" help:"Requests of one address that begin in a second, and at once; 0: no limit."`
	TrustedProxies  []netip.Prefix `group:"Limits" env:"SLUICE_TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Networks of proxies whose X-Forwarded-For says a client's address, such as 10.1.0.0/16."`
}

func (s limitSettings) check() error {
	switch {
	case s.TenantRequests < 0:
		return errors.New("--tenant-requests (SLUICE_TENANT_REQUESTS): not below 0")
	case !(s.TenantRate >= 0): // NaN too
		return errors.New("--tenant-rate (SLUICE_TENANT_RATE): not below 0")
	case s.AddressRequests < 0:
		return errors.New("--address-requests (SLUICE_ADDRESS_REQUESTS): not below 0")
	case !(s.AddressRate >= 0):
		return errors.New("--address-rate (SLUICE_ADDRESS_RATE): not below 0")
	}
	return nil
}

// apply sets what of a gateway's configuration are limits.
func (s limitSettings) apply(c *gateway.Config) {
	c.TenantRequests, c.TenantRate, c.AddressRequests, c.AddressRate = s.TenantRequests, s.TenantRate, s.AddressRequests, s.AddressRate
	c.TrustedProxies = s.TrustedProxies
}
