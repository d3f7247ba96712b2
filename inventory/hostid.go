package inventory

import (
	"cmp"
	"fmt"

	"github.com/kannuki/kannuki/inventory/rootfs"
)

// HostID is the id of the host whose root folder is dir ("" is the live machine), as
// Host.ID of its inventory has it; "" where it has no machine id.
func HostID(dir string) (string, error) {
	root, err := rootfs.Open(cmp.Or(dir, "/"))
	if err != nil {
		return "", fmt.Errorf("the host's id: %w", err)
	}
	defer root.Close()
	return (&collector{root: root}).machineID(), nil
}
