package webhook

import (
	"net/netip"
	"testing"
)

func TestReachable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to    string
		allow string
		want  bool
	}{
		{"93.184.215.14:443", "", true},
		{"93.184.215.14:80", "", true},
		{"93.184.215.14:22", "", false},
		{"93.184.215.14:5432", "", false},
		{"[2606:2800:21f:cb07::1]:443", "", true},
		{"0.0.0.0:80", "", false},
		{"10.1.2.3:443", "", false},
		{"100.64.0.1:443", "", false}, // carrier's NAT
		{"127.0.0.1:80", "", false},
		{"127.255.255.254:80", "", false},
		{"169.254.169.254:80", "", false}, // metadata of most clouds
		{"172.16.0.1:80", "", false},
		{"172.31.255.255:80", "", false},
		{"172.32.0.1:80", "", true},
		{"192.168.1.1:80", "", false},
		{"192.0.0.192:80", "", false}, // metadata of one cloud
		{"198.18.0.1:80", "", false},
		{"203.0.113.7:80", "", false},
		{"224.0.0.1:80", "", false},
		{"255.255.255.255:80", "", false},
		{"[::]:80", "", false},
		{"[::1]:80", "", false},
		{"[::ffff:127.0.0.1]:80", "", false}, // mapped
		{"[::ffff:169.254.169.254]:80", "", false},
		{"[::ffff:93.184.215.14]:443", "", true},
		{"[::127.0.0.1]:80", "", false},     // compatible
		{"[64:ff9b::7f00:1]:80", "", false}, // NAT64 of 127.0.0.1
		{"[64:ff9b:1::1]:80", "", false},
		{"[2002:7f00:1::]:80", "", false},   // 6to4 of 127.0.0.1
		{"[2001:0:7f00:1::]:80", "", false}, // Teredo
		{"[2001:db8::1]:80", "", false},
		{"[fc00::1]:80", "", false},
		{"[fd00:ec2::254]:80", "", false}, // metadata of a cloud, by IPv6
		{"[fe80::1]:80", "", false},
		{"[fe80::1%lo]:80", "", false},
		{"[2606:2800::1%lo]:80", "", false}, // a zone makes any address a link's own
		{"[fec0::1]:80", "", false},
		{"[ff02::1]:80", "", false},
		{"10.1.2.3:9999", "10.1.0.0/16", true},
		{"10.2.2.3:443", "10.1.0.0/16", false},
		{"[::ffff:10.1.2.3]:443", "10.1.0.0/16", true},
		{"[fd00::1]:443", "fd00::/8", true},
	} {
		var allow []netip.Prefix
		if c.allow != "" {
			allow = prefixes(c.allow)
		}
		if got := reachable(netip.MustParseAddrPort(c.to), allow); got != c.want {
			t.Errorf("%s with %q allowed: %v, want %v", c.to, c.allow, got, c.want)
		}
	}
}
