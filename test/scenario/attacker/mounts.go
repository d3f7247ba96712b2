//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountOperations put files and names where they are not.
var mountOperations = map[string]operation{
	"mount":      {2, false, func(_ *doer, a []string) error { return unix.Mount(a[0], a[1], a[0], 0, "") }},
	"mount-with": {3, false, func(_ *doer, a []string) error { return unix.Mount("none", a[1], a[0], 0, a[2]) }},
	"bind":       {2, false, func(_ *doer, a []string) error { return unix.Mount(a[0], a[1], "", unix.MS_BIND, "") }},
	"remount": {1, false, func(_ *doer, a []string) error {
		return unix.Mount("", a[0], "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}},
	"remount-fs": {1, false, func(_ *doer, a []string) error { return unix.Mount("", a[0], "", unix.MS_REMOUNT|unix.MS_RDONLY, "") }},
	"share":      {1, false, func(_ *doer, a []string) error { return unix.Mount("", a[0], "", unix.MS_UNBINDABLE, "") }},
	"move-mount": {2, false, func(_ *doer, a []string) error { return unix.Mount(a[0], a[1], "", unix.MS_MOVE, "") }},
	"unmount":    {1, false, func(_ *doer, a []string) error { return unix.Unmount(a[0], unix.MNT_DETACH) }},
	"fs-mount":   {2, false, func(_ *doer, a []string) error { return fsMount(a[0], a[1]) }},
	"tree-mount": {2, false, func(_ *doer, a []string) error { return treeMount(a[0], a[1]) }},
	"mount-attr": {1, false, func(_ *doer, a []string) error {
		return unix.MountSetattr(unix.AT_FDCWD, a[0], 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}},
	"mount-attr-clear": {1, false, func(_ *doer, a []string) error {
		return unix.MountSetattr(unix.AT_FDCWD, a[0], 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}},
	"pivot":  {1, false, func(_ *doer, a []string) error { return pivot(a[0]) }},
	"chroot": {1, false, func(_ *doer, a []string) error { return changeRoot(a[0]) }},
	"handle": {2, false, func(_ *doer, a []string) error { return handle(a[0], a[1]) }},

	"unshare": {1, true, func(_ *doer, a []string) error { return unshare(a) }},
	"enter":   {1, false, func(_ *doer, a []string) error { return enter(a[0]) }},
}

// namespaces by the names that /proc/PID/ns has.
var namespaces = map[string]uintptr{"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
	"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME}

func namespaceFlags(names []string) (uintptr, error) {
	var flags uintptr
	for _, n := range names {
		flag, ok := namespaces[n]
		if !ok {
			return 0, fmt.Errorf("there is no namespace %q", n)
		}
		flags |= flag
	}
	return flags, nil
}

// within performs the rest of a step in a copy with namespaces of its own, root in its
// user namespace if that is one.
func (d *doer) within(s Step, names []string) error {
	flags, err := namespaceFlags(names)
	if err != nil {
		return err
	}
	how := &syscall.SysProcAttr{Cloneflags: flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		how.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		how.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return d.inCopy(s, how)
}

// unshare gives this thread, and what it starts, namespaces of its own. A mount
// namespace tells nobody of what is mounted in it.
func unshare(names []string) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before unshare")
	}
	flags, err := namespaceFlags(names)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(int(flags)); err != nil {
		return err
	}
	if flags&unix.CLONE_NEWNS == 0 {
		return nil
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

// enter goes into the namespace that a file of /proc stands for.
func enter(path string) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before enter")
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	runtime.LockOSThread()
	// Threads share their root directory, and who shares one enters no mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(fd, 0)
}

// fsMount mounts through the system calls that came after mount(2).
func fsMount(kind, at string) error {
	context, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return err
	}
	mounted, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mounted)
	return unix.MoveMount(mounted, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// treeMount shows a directory at another place, through the same.
func treeMount(from, at string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// pivot makes a mounted directory the root, and leaves a file in it.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.WriteFile("/pivoted", nil, 0o644)
}

// changeRoot makes a directory the root of this thread, and leaves a file in it.
func changeRoot(root string) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before chroot")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Chroot(root); err != nil {
		return err
	}
	return put("/changed", "x", unix.O_WRONLY|unix.O_CREAT)
}

// ext4Root is the number of an ext4 file system's uppermost directory, which a handle
// made up by anybody may name.
const ext4Root = 2

// handle lists the uppermost directory of the file system that a directory is on,
// without going up to it.
func handle(dir, path string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const numberAndGeneration = 1
	there, err := unix.OpenByHandleAt(fd, unix.NewFileHandle(numberAndGeneration, []byte{ext4Root, 0, 0, 0, 0, 0, 0, 0}), unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	top := os.NewFile(uintptr(there), "/")
	defer top.Close()
	names, err := top.Readdirnames(-1)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(names, "\n")+"\n"), 0o644)
}
