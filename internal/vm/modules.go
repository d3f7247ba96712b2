//go:build linux

package vm

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is one kernel module file of the host.
type module struct{ name, path string }

// modules returns the named modules and what they depend on, in loading order. One
// that is built into the kernel is left out; one that does not exist is an error.
func (k *Linux) modules(names ...string) ([]module, error) {
	base := filepath.Join(k.dir, "lib", "modules", k.Release())
	files, err := moduleFiles(base)
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(base, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(builtin)) {
		files[moduleName(strings.TrimSpace(line))] = ""
	}
	var ordered []module
	seen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		name = moduleName(name)
		path, ok := files[name]
		switch {
		case !ok:
			return fmt.Errorf("kernel %s has no module %s", k.Release(), name)
		case path == "" || seen[name]:
			return nil
		}
		seen[name] = true
		depends, err := dependencies(path)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, d := range depends {
			if err := add(d); err != nil {
				return err
			}
		}
		ordered = append(ordered, module{name, path})
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

func moduleFiles(base string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(base, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			files[moduleName(path)] = path
		}
		return err
	})
	return files, err
}

// moduleName is the name the kernel knows a file by: - and _ are the same.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// dependencies reads "depends=a,b" from the module's own description; the packages
// hold no modules.dep, which depmod writes when they are installed.
func dependencies(path string) ([]string, error) {
	content, err := moduleContent(path)
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(strings.NewReader(string(content)))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// moduleContent reads a module, unpacked: not every kernel unpacks by itself.
func moduleContent(path string) ([]byte, error) {
	if filepath.Ext(path) != ".xz" {
		return os.ReadFile(path)
	}
	out, err := exec.Command("xz", "-dc", path).Output()
	if err != nil {
		return nil, fmt.Errorf("xz -dc %s: %w", path, err)
	}
	return out, nil
}
