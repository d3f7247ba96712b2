package ruleset

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Host is what compiling asks of a host. The zero value is a host with nothing on it:
// every place is where the policy says, and waits.
type Host struct {
	FS       fs.FS          // its root; links are followed where it is an fs.ReadLinkFS
	Homes    []string       // home directories of accounts, absolute: what "~" means
	Accounts map[string]int // uid by account name
}

// firstPerson is the lowest uid of people's accounts (UID_MIN of login.defs).
const firstPerson = 1000

// ReadHost reads the host whose root directory is root. Homes are those of root and of
// people, as etc/passwd has them, and whatever lies in /home: accounts of a directory
// service are in no file. Only a directory that is there is a home.
func ReadHost(root string) (Host, error) {
	h := Host{FS: os.DirFS(root), Accounts: map[string]int{}}
	f, err := h.FS.Open("etc/passwd")
	if err != nil {
		return h, fmt.Errorf("accounts of this host: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		h.account(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return h, fmt.Errorf("accounts of this host: etc/passwd: %w", err)
	}
	people, err := fs.ReadDir(h.FS, "home")
	if err != nil && !os.IsNotExist(err) {
		return h, fmt.Errorf("homes of this host: %w", err)
	}
	for _, d := range people {
		h.home("/home/" + d.Name())
	}
	slices.Sort(h.Homes)
	return h, nil
}

// account takes one line of passwd(5); lines of another form are of other systems (NIS).
func (h *Host) account(line string) {
	fields := strings.Split(line, ":")
	if len(fields) != 7 || fields[0] == "" {
		return
	}
	uid, err := strconv.Atoi(fields[2])
	if err != nil || uid < 0 {
		return
	}
	h.Accounts[fields[0]] = uid
	if uid == 0 || uid >= firstPerson {
		h.home(fields[5])
	}
}

func (h *Host) home(dir string) {
	dir = path.Clean(dir)
	if !path.IsAbs(dir) || dir == "/" || slices.Contains(h.Homes, dir) {
		return
	}
	if info, err := fs.Stat(h.FS, strings.TrimPrefix(dir, "/")); err == nil && info.IsDir() {
		h.Homes = append(h.Homes, dir)
	}
}
