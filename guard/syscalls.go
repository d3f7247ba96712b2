package guard

import (
	"fmt"

	"github.com/kannuki/kannuki/guard/bpf"
)

// syscalls writes which system calls ask for a surface of the kernel. They have no hook
// of their own: the programs hear of them when a capability is asked for.
func (g *Guard) syscalls() error {
	for compat, table := range []map[uint32]bpf.GuardSurface{native, compatible} {
		for number, surface := range table {
			if err := g.maps["syscalls"].Put(bpf.GuardSyscallKey{Number: number, Compat: uint32(compat)}, uint32(surface)); err != nil {
				return fmt.Errorf("system call %d: %w", number, err)
			}
		}
	}
	return nil
}
