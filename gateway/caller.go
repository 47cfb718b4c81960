package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sluice/internal/access"
	"sluice/internal/job"
)

// caller is on whose behalf a request acts.
type caller struct {
	access.Principal
	session  bool      // it has a session's cookie, which a browser sends by itself
	operator bool      // it may see what is of all tenants beside the queue: it has the APIKey, or there is no key
	endsAt   time.Time // of the token that it has; zero: no end by itself
}

type callerKey struct{}

// onBehalf returns a context that says who asks, and whose tenant that is.
func (by caller) onBehalf(ctx context.Context) context.Context {
	return context.WithValue(job.WithTenant(ctx, by.Tenant), callerKey{}, by)
}

// callerOf returns who asks: nobody, whose role may do nothing, where a route asks
// for no key or was opened by an upload token.
func callerOf(ctx context.Context) caller {
	by, _ := ctx.Value(callerKey{}).(caller)
	return by
}

// wholeTenant is who has the APIKey, and everybody while there is no key.
func wholeTenant() caller {
	return caller{Principal: access.Principal{Tenant: job.DefaultTenant, Role: access.Admin}, operator: true}
}

// recognise finds out who asks, by the key that the request carries or by its
// session, and is false where it cannot tell.
func (g *Gateway) recognise(r *http.Request, key string, locked bool) (by caller, ok bool, err error) {
	switch {
	case !locked:
		return wholeTenant(), true, nil
	case key == "":
		by, _, ok, err = g.inSession(r)
		return by, ok, err
	case g.cfg.APIKey != "" && sameKey(key, g.cfg.APIKey):
		return wholeTenant(), true, nil
	case strings.HasPrefix(key, access.KeyPrefix):
		by.Principal, ok, err = g.cfg.Access.Key(r.Context(), key)
		return by, ok, err
	}
	return caller{}, false, nil
}
