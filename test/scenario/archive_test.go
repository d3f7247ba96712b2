//go:build linux && amd64

package scenario_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

// bump is what a repacked package's version ends with, above any of Debian's.
const bump = "+kannuki1"

// archive is a folder of packages with its index, as a mirror has it: Debian's own,
// with their maintainer scripts, their version raised. kernel's package is one of them.
func archive(t *testing.T, kernel *vm.Linux) string {
	t.Helper()
	list, err := os.ReadFile("testdata/packages")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("archive_test.go")
	if err != nil {
		t.Fatal(err)
	}
	recipe := strings.Join([]string{string(list), string(code), kernel.Package, kernel.Version}, "\n")
	return vm.Kept(t, "archive", recipe, func(dir string) error {
		var upgraded, fresh []string
		for line := range strings.Lines(string(list)) {
			switch words := strings.Fields(line); {
			case len(words) == 1:
				upgraded = append(upgraded, words[0])
			case len(words) == 2 && words[0] == "new":
				fresh = append(fresh, words[1])
			}
		}
		return makeArchive(dir, append(upgraded, kernel.Package), fresh)
	})
}

func makeArchive(dir string, upgraded, fresh []string) error {
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := in(work, "apt-get", append([]string{"download", "-q"}, append(upgraded, fresh...)...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	raised := map[string]bool{}
	for _, name := range upgraded {
		raised[name] = true
	}
	var index bytes.Buffer
	for _, deb := range debs {
		entry, err := repack(dir, deb, raised)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
		index.WriteString(entry + "\n")
	}
	return os.WriteFile(filepath.Join(dir, "Packages"), index.Bytes(), 0o644)
}

// repack unpacks a package, raises its version where asked to, and packs it without
// compression, which would take the machine long to undo. It returns its index entry.
func repack(dir, deb string, raised map[string]bool) (string, error) {
	tree := deb + ".tree"
	if err := in(dir, "dpkg-deb", "-R", deb, tree); err != nil {
		return "", err
	}
	control := filepath.Join(tree, "DEBIAN", "control")
	text, err := os.ReadFile(control)
	if err != nil {
		return "", err
	}
	raisedText, name := raise(string(text), raised)
	if err := os.WriteFile(control, []byte(raisedText), 0o644); err != nil {
		return "", err
	}
	if strings.HasPrefix(name, "linux-image-") {
		if err := slim(tree); err != nil {
			return "", err
		}
	}
	out := filepath.Join(dir, name+".deb")
	if err := in(dir, "dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, out); err != nil {
		return "", err
	}
	content, err := os.ReadFile(out)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%sFilename: ./%s.deb\nSize: %d\nSHA256: %x\n", raisedText, name, len(content), sha256.Sum256(content)), os.RemoveAll(tree)
}

// raise returns a control file with a higher version, also where one of the raised
// packages is asked for in exactly its own version.
func raise(control string, raised map[string]bool) (text, name string) {
	var version string
	for line := range strings.Lines(control) {
		if rest, ok := strings.CutPrefix(line, "Package: "); ok {
			name = strings.TrimSpace(rest)
		}
		if rest, ok := strings.CutPrefix(line, "Version: "); ok {
			version = strings.TrimSpace(rest)
		}
	}
	if !raised[name] {
		return control, name
	}
	control = strings.Replace(control, "\nVersion: "+version+"\n", "\nVersion: "+version+bump+"\n", 1)
	for other := range raised {
		exactly := " " + other + " (= " + version
		control = strings.ReplaceAll(control, exactly+")", exactly+bump+")")
	}
	return control, name
}

// slim leaves a kernel package those modules that a virtual machine boots with. Its
// scripts do all they do with more.
func slim(tree string) error {
	kernels, err := filepath.Glob(filepath.Join(tree, "lib", "modules", "*", "kernel"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("it has %d folders of modules", len(kernels))
	}
	keep := []string{"fs/ext4", "fs/jbd2", "fs/mbcache", "drivers/virtio", "drivers/block/virtio_blk", "lib/crc16", "crypto/crc32c"}
	return filepath.WalkDir(kernels[0], func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below := strings.TrimPrefix(at, kernels[0]+"/")
		for _, k := range keep {
			if strings.HasPrefix(below, k) {
				return nil
			}
		}
		return os.Remove(at)
	})
}

// in runs a program of the host in a folder.
func in(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, said)
	}
	return nil
}
