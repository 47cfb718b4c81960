package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/issuer"
	"sluice/internal/job"
)

// caller is on whose behalf a request acts.
type caller struct {
	access.Principal
	session  string    // the id of its session, whose cookie a browser sends by itself; "" without one
	loopback bool      // there is no key, and anybody on the machine may ask
	operator bool      // it may see what is of all tenants beside the queue: it has the APIKey, or there is no key
	endsAt   time.Time // of the token that it has; zero: no end by itself
}

type callerKey struct{}

// onBehalf returns a context that says who asks, and whose tenant that is.
func (by caller) onBehalf(ctx context.Context) context.Context {
	ctx = audit.As(ctx, by.actor())
	return context.WithValue(job.WithTenant(ctx, by.Tenant), callerKey{}, by)
}

// actor is what the audit log knows the caller by.
func (by caller) actor() string {
	switch {
	case by.session != "":
		return audit.SessionActor + by.session
	case by.KeyID != "":
		return audit.KeyActor + by.KeyID
	case by.loopback:
		return audit.Loopback
	case by.operator:
		return audit.KeyActor + "SLUICE_API_KEY"
	}
	return audit.SubjectActor + by.Subject
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
		by = wholeTenant()
		by.loopback = true
		return by, true, nil
	case key == "":
		by, _, ok, err = g.inSession(r)
		return by, ok, err
	case g.cfg.APIKey != "" && sameKey(key, g.cfg.APIKey):
		return wholeTenant(), true, nil
	case strings.HasPrefix(key, access.KeyPrefix):
		by.Principal, ok, err = g.cfg.Access.Key(r.Context(), key)
		return by, ok, err
	case g.cfg.Issuer != nil && issuer.Looks(key):
		return g.byToken(r.Context(), key)
	}
	return caller{}, false, nil
}

// byToken finds out who has a token of the issuer's. Why one is refused only the log says.
func (g *Gateway) byToken(ctx context.Context, token string) (by caller, ok bool, err error) {
	id, err := g.cfg.Issuer.Verify(ctx, token)
	if errors.Is(err, issuer.ErrToken) {
		g.log.DebugContext(ctx, "token refused", "err", err)
		return by, false, nil
	}
	if err != nil {
		return by, false, err
	}
	role, ok := roleOf(id.Roles)
	if !ok || !access.ValidTenant(id.Tenant) {
		g.log.DebugContext(ctx, "token names no tenant of ours, or not one role")
		return by, false, nil
	}
	return caller{Principal: access.Principal{Tenant: id.Tenant, Role: role, Subject: id.Subject}, endsAt: id.ExpiresAt}, true, nil
}

// roleOf returns the one role that is among the words, which may have sluice: before
// it. Of several there is no telling which is meant.
func roleOf(words []string) (role access.Role, ok bool) {
	for _, word := range words {
		one := access.Role(strings.TrimPrefix(word, "sluice:"))
		if !one.Valid() {
			continue
		}
		if ok && one != role {
			return "", false
		}
		role, ok = one, true
	}
	return role, ok
}
