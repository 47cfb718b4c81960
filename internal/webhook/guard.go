package webhook

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// ErrRefused is why a delivery was not even tried.
var ErrRefused = errors.New("the URL leads to an address or a port that deliveries do not go to")

// ports are those that a receiver on the internet may listen at: no mail, no
// shell, no database.
var ports = []uint16{80, 443, 8080, 8443}

// special are the networks that are not everybody's, or lead to such: IANA's
// registries of special-purpose addresses (RFC 6890), with what translates or
// tunnels to IPv4.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// global is the part of IPv6 that is given out to everybody. What is outside of
// it is loopback, link-local, unique local, multicast, mapped, translated or nobody's.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// guard is a net.Dialer's ControlContext: it is asked with the very address that
// the socket is about to connect to, behind every look-up, so that a name that
// leads elsewhere the second time gains nothing.
func guard(allow []netip.Prefix) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !reachable(to, allow) {
			return ErrRefused
		}
		return nil
	}
}

func reachable(to netip.AddrPort, allow []netip.Prefix) bool {
	addr := to.Addr().Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(addr) } // never an address with a zone
	if slices.ContainsFunc(allow, within) {
		return true
	}
	if addr.Zone() != "" || !addr.Is4() && !global.Contains(addr) || slices.ContainsFunc(special, within) {
		return false
	}
	return slices.Contains(ports, to.Port())
}
