package policyfile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

// The surfaces that carry a row of exploits are open to those contained services only that
// do not work without: whoever is added here was looked at.
func TestUnderStandardAnExploitedSurfaceIsOpenToWhoNeedsItOnly(t *testing.T) {
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	vpn := []string{"openvpn@.service", "openvpn-server@.service", "openvpn-client@.service", "strongswan.service", "strongswan-starter.service", "ipsec.service",
		"tailscaled.service", "xl2tpd.service", "zerotier-one.service"}
	routing := []string{"keepalived.service", "frr.service", "bird.service", "bird2.service", "radvd.service"}
	for surface, want := range map[policy.Surface][]string{
		"nf_tables": slices.Concat(vpn, routing),
		"xfrm":      vpn,
		"af_alg":    vpn,
		"af_packet": slices.Concat(vpn, routing, []string{"isc-dhcp-server.service", "dhcpd.service", "kea-dhcp4-server.service", "kea-dhcp4.service", "/usr/sbin/dhclient", "/usr/sbin/dhcpcd",
			"/usr/bin/ping", "/usr/bin/fping", "/usr/lib/nagios/plugins/check_icmp", "/usr/lib/nagios/plugins/check_dhcp", "/usr/lib/squid/pinger"}),
		"userns": nil, "namespaces": nil, "bpf": nil, "rxrpc": nil, "vsock": nil, "keyctl": nil, "userfaultfd": nil,
	} {
		var got []string
		for _, u := range p.SurfaceUses(surface, time.Time{}) {
			got = append(got, u.Who.String())
		}
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: open to %q, want %q", surface, got, want)
		}
	}
}
