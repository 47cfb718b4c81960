package gateway

import (
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload"
)

// limits are what one gateway bounds by itself. What is stored is bounded for all of
// them together: see job.Quotas.
type limits struct {
	tenants   *turnstile // a request holds a place while it brings bytes
	addresses *turnstile // every request holds one
	refused   *prometheus.CounterVec
}

func newLimits(cfg Config) *limits {
	l := &limits{
		tenants:   newTurnstile(cfg.TenantRequests, cfg.TenantRate, job.LimitTenantRequests, job.LimitTenantRate),
		addresses: newTurnstile(cfg.AddressRequests, cfg.AddressRate, job.LimitAddressRequests, job.LimitAddressRate),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_limit_refusals_total", Help: "Requests refused because a tenant or an address was at a limit.",
		}, []string{"limit"}),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(l.refused)
	}
	return l
}

// limitAddress bounds what comes from one address, before it is asked who that is.
// Probes are never refused: a gateway that is flooded is not one that is down.
func (g *Gateway) limitAddress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Path(); path == "/healthz" || path == "/readyz" {
			return next(c)
		}
		address := network(c.RealIP())
		leave, err := g.limits.addresses.enter(address, true)
		if err != nil {
			return err
		}
		defer leave()
		c.SetRequest(c.Request().WithContext(scope.InLine(c.Request().Context(), lineOf(address))))
		return next(c)
	}
}

// lines is in how many those wait of whom it is not known yet who they are.
const lines = 64

// lineOf returns that of an address: who sends keys that are none waits for himself.
func lineOf(address string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(address)) // never fails
	return strconv.Itoa(int(sum.Sum32() % lines))
}

// limitTenant bounds what a tenant asks for, of the routes that ask for its key.
func (g *Gateway) limitTenant(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		method := c.Request().Method
		if open(c.Path(), method) || forAdmins(c.Path()) || c.Path() == metricsPath {
			return next(c)
		}
		brings := groupOf(method, c.Path()) == sending && (method == http.MethodPost || method == http.MethodPatch || method == http.MethodPut)
		leave, err := g.limits.tenants.enter(job.Tenant(c.Request().Context()), brings)
		if err != nil {
			return err
		}
		defer leave()
		return next(c)
	}
}

// network is what is counted as one address: of IPv6 the first 64 bits, which one
// client has all to itself.
func network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}

// clientAddress returns how the address of a request's client is found out: it is the
// peer's, or, where that is a trusted proxy, the last one that no trusted proxy has.
// Anyone can send an X-Forwarded-For.
func clientAddress(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		bits := 32
		if p.Addr().Is6() {
			bits = 128
		}
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), bits)}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// limitJSON is a problem's limit.
type limitJSON struct {
	Name string `json:"name"`
	Max  int64  `json:"max"`
}

// limitOf reads the header by which the upload store says what limit refused a
// request; tusd passes on no more than that.
func limitOf(h http.Header) *limitJSON {
	name, most, ok := strings.Cut(h.Get(upload.LimitHeader), "; max=")
	n, err := strconv.ParseInt(most, 10, 64)
	if !ok || err != nil {
		return nil
	}
	return &limitJSON{name, n}
}
