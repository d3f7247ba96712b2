// Package inventory finds out what is installed and running on a server, from the
// live machine, from a mounted root, or from a file someone exported (our own
// JSON, a CycloneDX SBOM, Windows' systeminfo and Get-HotFix), and fills
// host.Inventory. It promises to change nothing, to start no program, to stay
// inside the root it was given, and to list in Unread whatever it could not read.
// It is the only door to the packages below it.
package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/dpkg"
	"github.com/kannuki/kannuki/inventory/osrelease"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// Options say what to look at.
type Options struct {
	// Root is the root folder; "" or "/" is the live machine.
	Root string
	// Now is the clock; required.
	Now func() time.Time
}

func (o Options) live() bool { return o.Root == "" || o.Root == "/" }

// Collect reads the machine or the mounted root. It returns an error when there is
// no package database at all, or one that is there cannot be read; smaller faults
// are in Unread.
func Collect(ctx context.Context, opt Options) (host.Inventory, error) {
	dir := cmp.Or(opt.Root, "/")
	root, err := rootfs.Open(dir)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: cannot open root %s: %w", dir, err)
	}
	defer root.Close()
	c := collector{root: root, live: opt.live()}
	c.inv = host.Inventory{Collected: opt.Now().UTC(), Origin: "root", Packages: []host.Package{}}
	if c.live {
		c.inv.Origin = "live"
	}
	steps := []func(context.Context) error{c.system, c.packages}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return host.Inventory{}, fmt.Errorf("inventory: %w", err)
		}
		if err := step(ctx); err != nil {
			return host.Inventory{}, fmt.Errorf("inventory: %w", err)
		}
	}
	return c.inv, nil
}

// collector fills one inventory.
type collector struct {
	root *rootfs.FS
	live bool
	inv  host.Inventory
}

func (c *collector) unread(what string, err error) {
	c.inv.Unread = append(c.inv.Unread, host.Unread{What: what, Why: err.Error()})
}

// system reads what the operating system says it is.
func (c *collector) system(context.Context) error {
	for _, path := range osrelease.Paths {
		data, err := c.root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			c.inv.Host.OS, err = osrelease.Parse(data)
		}
		if err != nil {
			c.unread(c.root.Show(path), err)
			continue
		}
		return nil
	}
	c.unread("operating system", fmt.Errorf("neither %s can be read: packages cannot be matched to a release",
		strings.Join(shown(c.root, osrelease.Paths), " nor ")))
	return nil
}

func shown(root *rootfs.FS, paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, root.Show(p))
	}
	return out
}

// packages reads every package database there is.
func (c *collector) packages(context.Context) error {
	packages, unread, found, err := dpkg.Read(c.root)
	if err != nil {
		return err
	}
	if !found {
		looked := shown(c.root, []string{dpkg.StatusPath, dpkg.StatusDirPath})
		return fmt.Errorf("no package database below %s: looked at %s; is this the root of a Linux system?",
			c.root.Dir(), strings.Join(looked, ", "))
	}
	c.inv.Packages, c.inv.Unread = packages, append(c.inv.Unread, unread...)
	sortPackages(c.inv.Packages)
	return nil
}

// sortPackages puts packages in an order that does not depend on the database's.
func sortPackages(packages []host.Package) {
	slices.SortFunc(packages, func(a, b host.Package) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version))
	})
}
