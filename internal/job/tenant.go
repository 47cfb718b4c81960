package job

import (
	"context"

	"sluice/internal/scope"
)

// DefaultTenant owns everything while no keys are configured.
const DefaultTenant = "default"

type tenantKey struct{}

// WithTenant returns a context that carries the tenant on whose behalf a
// request acts. The gateway sets it once it knows the key.
func WithTenant(ctx context.Context, tenant string) context.Context {
	return context.WithValue(scope.Bind(ctx, tenant), tenantKey{}, tenant)
}

// Tenant returns the tenant that WithTenant put into ctx, else DefaultTenant.
func Tenant(ctx context.Context) string {
	if t, ok := ctx.Value(tenantKey{}).(string); ok {
		return t
	}
	return DefaultTenant
}
