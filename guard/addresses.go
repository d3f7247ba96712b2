package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
)

// Learn tells the programs what this host has just now: its own addresses, and the numbers
// of its devices. Apply does it, too; what comes later is learned with the next call.
func (g *Guard) Learn() error { return errors.Join(g.learnAddresses(), g.learnDevices()) }

// learnAddresses: what contained processes reach under the host's own addresses are daemons
// of the same host.
func (g *Guard) learnAddresses() error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("guard: this host's addresses: %w", err)
	}
	own := map[bpf.GuardAddressKey]bool{}
	for _, a := range all {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil {
			own[addressKey(ip)] = true
		}
	}
	known := map[bpf.GuardAddressKey]bool{}
	if err := each(g.maps["addresses"], func(k bpf.GuardAddressKey, _ uint32) { known[k] = true }); err != nil {
		return err
	}
	for k := range own {
		if !known[k] {
			if err := g.maps["addresses"].Put(k, uint32(1)); err != nil {
				return fmt.Errorf("guard: an address of this host: %w", err)
			}
		}
	}
	return drop[bpf.GuardAddressKey, uint32](g.maps["addresses"], func(k bpf.GuardAddressKey) bool { return !own[k] })
}

// addressKey is an address as a socket has it.
func addressKey(ip net.IP) bpf.GuardAddressKey {
	key := bpf.GuardAddressKey{Family: unix.AF_INET6}
	bytes := ip.To16()
	if four := ip.To4(); four != nil {
		key.Family, bytes = unix.AF_INET, four
	}
	for i := 0; i < len(bytes); i += 4 {
		key.Words[i/4] = binary.NativeEndian.Uint32(bytes[i:])
	}
	return key
}
