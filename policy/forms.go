package policy

import (
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Mode of a control: host.Observe or host.Enforce.
type Mode string

// The modes.
const (
	Observe Mode = host.Observe // records what would be refused
	Enforce Mode = host.Enforce // refuses
)

// Seal says who may change a place.
type Seal string

// The seals.
const (
	Sealed Seal = "sealed" // updaters and writers only, root or not
	Config Seal = "config" // everybody who is not contained
)

// Profile is what an exempt listener gets in place of containment.
type Profile string

// The profiles.
const (
	// ProfileLogin: the daemon itself may do what logging somebody in takes and launches
	// nothing from user space; sessions, told by their login uid, are not contained.
	ProfileLogin Profile = "login"
	// ProfileRuntime: a container runtime. Inside a container only image layers launch.
	ProfileRuntime Profile = "runtime"
	// ProfileNone: as if it did not listen.
	ProfileNone Profile = "none"
)

// Switch is on or off; empty means that the base decides.
type Switch string

// The positions of a switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// Surface is a part of the kernel that exploits go through.
type Surface string

// surfaces are all surfaces with what each is, in the order they are printed.
var surfaces = []struct {
	name  Surface
	about string
}{
	{"userns", "user namespaces"},
	{"namespaces", "every other new namespace, and entering one (unshare, setns)"},
	{"mount", "mounts, over-mounts, pivot_root"},
	{"file-handle", "open_by_handle_at"},
	{"module", "loading kernel modules (init_module, finit_module)"},
	{"module-autoload", "modules the kernel would load on its own for a request"},
	{"bpf", "bpf programs, maps and pins"},
	{"perf", "perf_event_open"},
	{"kexec", "loading another kernel"},
	{"raw-memory", "/dev/mem, /dev/kmem, /dev/port, /proc/kcore, iopl and ioperm"},
	{"raw-disk", "block devices, what makes and drives them, and ioctls for administrators"},
	{"sysctl", "writing below /proc/sys, with modprobe_path and core_pattern"},
	{"binfmt", "binfmt_misc handlers"},
	{"sysrq", "/proc/sysrq-trigger"},
	{"sysfs", "writing below /sys"},
	{"af_alg", "AF_ALG sockets"},
	{"af_packet", "AF_PACKET sockets"},
	{"raw-socket", "SOCK_RAW sockets"},
	{"vsock", "AF_VSOCK sockets"},
	{"xfrm", "xfrm netlink and PF_KEY (IPsec)"},
	{"nf_tables", "nfnetlink (nf_tables, ipset, conntrack) and the iptables socket options"},
	{"rxrpc", "AF_RXRPC sockets"},
	{"netlink", "netlink families other than route, kobject-uevent and audit; changes of the network through route and ioctl"},
	{"socket-families", "every socket family other than unix, inet, inet6 and netlink"},
	{"io_uring", "io_uring"},
	{"keyctl", "keyrings"},
	{"userfaultfd", "userfaultfd"},
	{"clock", "setting the clock"},
	{"reboot", "reboot, swap and the watchdog"},
	{"fanotify", "being asked before others open a file (fanotify_init)"},
}

// Surfaces are the surfaces of the language.
func Surfaces() []Surface {
	out := make([]Surface, len(surfaces))
	for i, s := range surfaces {
		out[i] = s.name
	}
	return out
}

// Controls are the controls of the language, in the order they are printed.
func Controls() []host.Control {
	return []host.Control{host.Launch, host.Write, host.ProcessCtl, host.Utility, host.Containing, host.KernelCtl, host.Private, host.Self}
}

// Values returns the words a value of type t may be, or nil where it is free text.
func Values(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[Mode]():
		return texts([]Mode{Observe, Enforce})
	case reflect.TypeFor[Seal]():
		return texts([]Seal{Sealed, Config})
	case reflect.TypeFor[Profile]():
		return texts([]Profile{ProfileLogin, ProfileRuntime, ProfileNone})
	case reflect.TypeFor[Switch]():
		return texts([]Switch{On, Off})
	case reflect.TypeFor[Surface]():
		return texts(Surfaces())
	case reflect.TypeFor[host.Control]():
		return texts(Controls())
	}
	return nil
}

// Meaning explains one of the words Values returns, where it needs more than itself.
func Meaning(t reflect.Type, word string) string {
	if t == reflect.TypeFor[Surface]() {
		if i := slices.IndexFunc(surfaces, func(s struct {
			name  Surface
			about string
		}) bool {
			return string(s.name) == word
		}); i >= 0 {
			return surfaces[i].about
		}
	}
	return meanings[t.Name()+"."+word]
}

var meanings = map[string]string{
	"Mode.observe":    "records what would be refused",
	"Mode.enforce":    "refuses",
	"Seal.sealed":     "updaters and writers only, root or not",
	"Seal.config":     "everybody who is not contained",
	"Profile.login":   "a daemon that logs people in: it does what logging in takes; the sessions, told by their login uid, are not contained",
	"Profile.runtime": "a container runtime: inside a container only image layers launch",
	"Profile.none":    "as if it did not listen",
	"Switch.on":       "yes",
	"Switch.off":      "no",
	"Control.launch":  "nothing launches from user space",
	"Control.write":   "system space, persistence places and others' data are not changed",
	"Control.process": "other processes' memory, privileges and signals",
	"Control.utility": "programs attackers live off",
	"Control.contain": "what faces the network stays contained, children and deputies too",
	"Control.kernel":  "kernel surfaces",
	"Control.private": "private places are not read",
	"Control.self":    "the guard defends itself",
}

// Duration is a length of time as it is written: days, hours, minutes, seconds ("30d",
// "1h30m").
type Duration string

var durationPart = regexp.MustCompile(`([0-9]+)([dhms])`)

// Time returns the duration; 0 where it is empty or malformed.
func (d Duration) Time() time.Duration {
	unit := map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
	var sum time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(string(d), -1) {
		n, err := strconv.Atoi(part[1])
		if err != nil || time.Duration(n) > (200*365*24*time.Hour)/unit[part[2]] {
			return 0
		}
		sum += time.Duration(n) * unit[part[2]]
	}
	return sum
}

// Form is how a text has to look. Pattern is its regular expression, as the JSON
// Schema publishes it; About names it to people.
type Form struct {
	About   string
	Pattern string
	Example string
}

// Forms are the forms of the language by the name fields refer to them.
func Forms() map[string]Form {
	return map[string]Form{
		"path":      {"an absolute path without patterns", absolute, "/usr/sbin/nginx"},
		"place":     {"an absolute path without patterns, or `~/` and a path for the home directory of every account", absolute + `|^~(/` + segment + `)+$`, "~/.ssh"},
		"word":      {"lower-case letters, digits and hyphens", `^[a-z0-9][a-z0-9_-]*$`, "web-server"},
		"id":        {"the id of a rule", `^[a-z][a-z0-9-]*(:[^\x00-\x1f]+)?$`, "shop-deploy"},
		"unit":      {"the name of a systemd unit with its ending", `^[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|scope|slice|mount|path)$`, "nginx.service"},
		"account":   {"the name of an account", `^[A-Za-z_][A-Za-z0-9_.-]*\$?$`, "deploy"},
		"filename":  {"one name without a slash", `^[^/\x00-\x20*?{}]+$`, "python3"},
		"extension": {"a file's ending with its dot", `^\.[A-Za-z0-9]+$`, ".py"},
		"technique": {"an ATT&CK technique", `^T[0-9]{4}(\.[0-9]{3})?$`, "T1059.004"},
		"sha256":    {"64 hexadecimal digits", `^[0-9a-f]{64}$`, strings.Repeat("0123456789abcdef", 4)},
		"duration":  {"a length of time in days, hours, minutes and seconds", `^[0-9]{1,5}d([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$|^[0-9]{1,5}h([0-9]{1,5}m)?([0-9]{1,5}s)?$|^[0-9]{1,5}m([0-9]{1,5}s)?$|^[0-9]{1,5}s$`, "10m"},
		"token-key": {"a public key as kannuki token key prints it", `^kannuki-key1:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$`, "kannuki-key1:" + strings.Repeat("A", 43)},
		"port":      {"a port number from 1 to 65535", "", "22"},
	}
}

// segment is one name of a path: no patterns, no control characters, neither . nor ..
const segment = `(\.{3}[^/\x00-\x1f*?\[\]{}]*|\.{0,2}[^./\x00-\x1f*?\[\]{}][^/\x00-\x1f*?\[\]{}]*)`

// absolute is a cleaned absolute path.
const absolute = `^/$|^(/` + segment + `)+$`

var patterns = func() map[string]*regexp.Regexp {
	out := map[string]*regexp.Regexp{}
	for name, f := range Forms() {
		out[name] = regexp.MustCompile(f.Pattern)
	}
	return out
}()

// breach says what is wrong with text as form, and what would be right; "" for both
// where it is fine or where there is no suggestion.
func breach(form, text string) (wrong, hint string) {
	if patterns[form].MatchString(text) {
		return "", ""
	}
	if form == "path" || form == "place" {
		if wrong, hint := pathBreach(form, text); wrong != "" {
			return wrong, hint
		}
	}
	f := Forms()[form]
	return fmt.Sprintf("%q is not %s, like %s", text, f.About, f.Example), suggestion(form, text)
}

func pathBreach(form, text string) (wrong, hint string) {
	home := form == "place" && strings.HasPrefix(text, "~/")
	switch {
	case strings.ContainsAny(text, "*?[]{}"):
		return fmt.Sprintf("%q has a pattern in it; places are named one by one", text), ""
	case !home && !strings.HasPrefix(text, "/"):
		return fmt.Sprintf("%q is not an absolute path", text), path.Clean("/" + strings.TrimPrefix(text, "~"))
	case home && path.Clean("/"+text[2:]) != text[1:]:
		return fmt.Sprintf("%q is not cleaned", text), "~" + path.Clean("/"+text[2:])
	case !home && path.Clean(text) != text:
		return fmt.Sprintf("%q is not cleaned", text), path.Clean(text)
	}
	return "", ""
}

func suggestion(form, text string) string {
	var guess string
	switch form {
	case "word":
		guess = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), " ", "-")
	case "unit":
		guess = text + ".service"
	case "extension":
		guess = "." + strings.TrimPrefix(text, "*.")
	case "sha256":
		guess = strings.TrimPrefix(strings.ToLower(text), "sha256:")
	case "filename":
		guess = path.Base(text)
	case "duration":
		guess = strings.NewReplacer(" ", "", "minutes", "m", "minute", "m", "min", "m", "hours", "h", "hour", "h", "days", "d", "day", "d", "seconds", "s").Replace(strings.ToLower(text))
	}
	if guess != "" && guess != text && patterns[form].MatchString(guess) {
		return guess
	}
	return ""
}

// Nearest returns the word of words that takes the fewest changes to reach from text,
// or "" where none is near enough to be meant.
func Nearest(text string, words []string) string {
	best, at := "", 1+max(len(text), 3)/2
	for _, w := range words {
		if d := distance(strings.ToLower(text), strings.ToLower(w)); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours (optimal
// string alignment), of texts of a word's length; longer ones are as far as their length.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}
