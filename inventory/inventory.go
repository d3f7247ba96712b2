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
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/apk"
	"github.com/kannuki/kannuki/inventory/dpkg"
	"github.com/kannuki/kannuki/inventory/kernel"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
	"github.com/kannuki/kannuki/inventory/rpm"
	"github.com/kannuki/kannuki/inventory/services"
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
	for _, step := range []func(context.Context) error{c.packages, c.system, c.running} {
		if err := ctx.Err(); err != nil {
			return host.Inventory{}, fmt.Errorf("inventory: %w", err)
		}
		if err := step(ctx); err != nil {
			return host.Inventory{}, fmt.Errorf("inventory: %w", err)
		}
	}
	sortPackages(c.inv.Packages)
	return c.inv, nil
}

// collector fills one inventory.
type collector struct {
	root *rootfs.FS
	live bool
	inv  host.Inventory
	// rpm and apk stay open for their file lists; nil where there is no such database.
	rpm *rpm.Database
	apk *apk.Database
}

func (c *collector) unread(what string, err error) {
	c.inv.Unread = append(c.inv.Unread, host.NotRead(what, err))
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
	if c.rpm, err = rpm.Read(c.root); err != nil {
		return err
	}
	if c.apk, err = apk.Read(c.root); err != nil {
		return err
	}
	if !found && c.rpm == nil && c.apk == nil {
		looked := slices.Concat([]string{dpkg.StatusPath, dpkg.StatusDirPath}, rpm.Paths, apk.Paths)
		return fmt.Errorf("no package database below %s: looked at %s; is this the root of a Linux system?",
			c.root.Dir(), strings.Join(shown(c.root, looked), ", "))
	}
	c.inv.Packages, c.inv.Unread = append(c.inv.Packages, packages...), append(c.inv.Unread, unread...)
	if c.rpm != nil {
		c.inv.Packages, c.inv.Unread = append(c.inv.Packages, c.rpm.Packages...), append(c.inv.Unread, c.rpm.Unread...)
	}
	if c.apk != nil {
		c.inv.Packages, c.inv.Unread = append(c.inv.Packages, c.apk.Packages...), append(c.inv.Unread, c.apk.Unread...)
	}
	return nil
}

// running reads what runs and which kernels are installed, and asks the package
// managers who owns the files behind it.
func (c *collector) running(ctx context.Context) error {
	release, version := c.uname()
	images := kernel.Read(c.root, release, version)
	paths := images.Paths()
	snapshot, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	if snapshot != nil {
		paths = append(paths, snapshot.Paths()...)
	}
	index := owner.New(c.root, paths)
	c.inv.Unread = append(c.inv.Unread, dpkg.Claim(c.root, c.inv.Packages, index)...)
	if c.rpm != nil {
		c.rpm.Claim(index)
	}
	if c.apk != nil {
		c.apk.Claim(index)
	}
	var unread []host.Unread
	c.inv.Kernel, unread = images.Resolve(index.Owner)
	c.inv.Unread = append(c.inv.Unread, unread...)
	if snapshot != nil {
		known := &knowledge{Index: index, c: c}
		c.inv.Processes = snapshot.Processes(known)
		c.inv.Unread = append(c.inv.Unread, snapshot.Unread...)
	}
	return nil
}

// knowledge is what the package managers of this machine know (services.Packages).
type knowledge struct {
	*owner.Index
	c       *collector
	history *dpkg.History // read when first asked for: most machines run nothing old
}

// VersionAt asks the package manager's log.
func (k *knowledge) VersionAt(p *host.Package, at time.Time) string {
	if p.Kind != "dpkg" {
		return ""
	}
	if k.history == nil {
		var unread []host.Unread
		k.history, unread = dpkg.ReadHistory(k.c.root, time.Local)
		k.c.inv.Unread = append(k.c.inv.Unread, unread...)
	}
	return k.history.VersionAt(p, at)
}

// snapshot reads processes; nil for a mounted root, where nothing runs.
func (c *collector) snapshot(ctx context.Context) (*services.Snapshot, error) {
	if !c.live {
		return nil, nil
	}
	snapshot, err := services.Read(ctx, services.Proc, c.users())
	if err != nil && ctx.Err() == nil {
		c.unread("processes", err)
		return nil, nil
	}
	return snapshot, err
}

// sortPackages puts packages in an order that does not depend on the database's.
func sortPackages(packages []host.Package) {
	slices.SortStableFunc(packages, func(a, b host.Package) int { return host.ComparePackages(&a, &b) })
}
