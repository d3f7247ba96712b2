package policy

import (
	"reflect"
	"testing"
	"time"
)

func TestWhoUsesASurfaceAllTheSame(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	vpn, ping := Who{Unit: "openvpn@.service"}, Who{Program: "/usr/bin/ping"}
	p := Policy{
		Roles: []Role{{Role: "vpn", Who: []Who{vpn, {Unit: "wg-quick@.service"}}}},
		Kernel: Kernel{Allow: []KernelAllowance{
			{ID: "tunnels", To: []Who{{Role: "vpn"}}, Surfaces: []Surface{"xfrm", "netlink"}},
			{ID: "ping-raw", To: []Who{ping}, Surfaces: []Surface{"raw-socket"}},
			{ID: "again", To: []Who{vpn}, Surfaces: []Surface{"xfrm"}},
		}},
		Grants: []Grant{
			{ID: "debug", To: Who{User: "alice"}, Surfaces: []Surface{"bpf"}, Expires: at.Add(time.Minute)},
			{ID: "over", To: Who{User: "bob"}, Surfaces: []Surface{"bpf"}, Expires: at},
		},
	}
	for surface, want := range map[Surface][]SurfaceUse{
		"xfrm":       {{vpn, "tunnels"}, {Who{Unit: "wg-quick@.service"}, "tunnels"}},
		"raw-socket": {{ping, "ping-raw"}},
		"bpf":        {{Who{User: "alice"}, "debug"}},
		"userns":     nil,
	} {
		if got := p.SurfaceUses(surface, at); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", surface, got, want)
		}
	}
}
