//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Reboot starts the server anew from its disk: what was written is there, and nothing
// runs on but what starts with the server. It takes about a minute, as a boot does.
func (d *Server) Reboot(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := d.reboot(ctx); err != nil {
		t.Fatalf("restarting the Debian machine: %v", err)
	}
}

func (d *Server) reboot(ctx context.Context) error {
	if _, err := d.m.exec(ctx, Command{Args: []string{"sync"}}); err != nil {
		return err
	}
	was, err := d.m.disk()
	if err != nil {
		return err
	}
	defer was.Close()
	if err := d.m.monitor.human("stop"); err != nil {
		return err
	}
	// Not killed: it has to write down where on the disk things are.
	if _, err := d.m.monitor.command("quit", nil); err != nil {
		return err
	}
	select {
	case <-d.m.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.close()
	dir, err := os.MkdirTemp("", "kannuki-disk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // as restore does
	disk := filepath.Join(dir, diskName)
	if err := copyOpen(disk, was); err != nil {
		return err
	}
	b := d.state.boot.onDisk(disk)
	b.clock = time.Now().Unix()
	if d.m, err = launch(ctx, b); err != nil {
		return err
	}
	return d.m.settle(ctx)
}

// disk opens the disk QEMU has open, which has no name any more.
func (m *machine) disk() (*os.File, error) {
	dir := fmt.Sprintf("/proc/%d/fd", m.cmd.Process.Pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, fd := range open {
		file := filepath.Join(dir, fd.Name())
		// "/tmp/kannuki-disk-1/disk.qcow2 (deleted)"; the disk below it has its name still
		if to, err := os.Readlink(file); err == nil && strings.HasSuffix(to, diskName+" (deleted)") {
			return os.Open(file)
		}
	}
	return nil, errors.New("QEMU has no disk open that is its own")
}

// copyOpen copies a file that is open, but for what is not there.
func copyOpen(to string, from *os.File) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}
