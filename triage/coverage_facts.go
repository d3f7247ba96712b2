package triage

// Facts about components and single vulnerabilities that no feed carries as data.

// setuidSources are source packages whose local bugs are reached by running one of
// their setuid or setgid programs (names of Debian and of RPM distributions).
var setuidSources = set("policykit-1", "polkit", "sudo", "sudo-rs", "doas", "util-linux", "shadow", "shadow-utils", "pam", "exim4", "exim",
	"fuse", "fuse3", "ntfs-3g", "cifs-utils", "nfs-utils", "screen", "xorg-server", "xorg-x11-server", "apport", "usermode", "libcap2",
	"opensmtpd", "userhelper", "spice-gtk", "v4l-utils", "kbd")

// loaderSources hold the dynamic loader: a bug of it gains privileges through
// whichever setuid program it loads.
var loaderSources = set("glibc", "musl")

// deputies are daemons that act for others with root's rights and that contained
// processes may not talk to (GUARD.md section 1: PID 1's D-Bus, user managers,
// container, libvirt, snapd and PackageKit sockets, at and cron).
var deputies = set("systemd", "snapd", "packagekit", "PackageKit", "libvirt", "docker.io", "docker-ce", "moby-engine", "containerd", "podman",
	"at", "cron", "cronie")

// osProtections are what enforces a protection of the operating system.
var osProtections = set("apparmor", "libselinux", "selinux-policy", "refpolicy", "libseccomp", "bubblewrap", "firejail")

// pageCacheBugs write files through the page cache, where no hook looks.
var pageCacheBugs = set(
	"CVE-2016-5195", // Dirty COW
	"CVE-2022-0847", // Dirty Pipe
	"CVE-2022-2590", // Dirty COW on shared memory
)

// kernelPath is what the known way to a kernel bug needs: refusing any one of the
// surfaces to contained processes closes it.
type kernelPath struct {
	surfaces []string // host.Protection.Surfaces' words
	source   string   // where that is written
}

// kernelPaths lists kernel bugs whose way there is public. A bug that is not here is
// taken as reachable: an unknown path is no protection.
var kernelPaths = map[string]kernelPath{
	"CVE-2016-8655":    {[]string{"af_packet", "userns"}, "oss-security 2016-12-06: AF_PACKET needs CAP_NET_RAW, had in a user namespace"},
	"CVE-2017-7308":    {[]string{"af_packet", "userns"}, "Project Zero blog 2017-05: AF_PACKET needs CAP_NET_RAW, had in a user namespace"},
	"CVE-2017-1000112": {[]string{"userns"}, "oss-security 2017-08-13: needs CAP_NET_ADMIN, had in a user namespace"},
	"CVE-2017-6074":    {[]string{"module-autoload"}, "oss-security 2017-02-22: the dccp module is loaded on demand"},
	"CVE-2017-16995":   {[]string{"bpf"}, "kernel commit 95a762e2c8c9: unprivileged bpf()"},
	"CVE-2019-15666":   {[]string{"xfrm", "userns"}, "USN-4094-1: xfrm policy, needs CAP_NET_ADMIN"},
	"CVE-2020-8835":    {[]string{"bpf"}, "ZDI-20-350: unprivileged bpf()"},
	"CVE-2020-14386":   {[]string{"af_packet", "userns"}, "oss-security 2020-09-03: AF_PACKET needs CAP_NET_RAW"},
	"CVE-2021-3490":    {[]string{"bpf"}, "ZDI-21-606: unprivileged bpf()"},
	"CVE-2021-3493":    {[]string{"userns"}, "USN-4917-1: overlayfs mounted in a user namespace"},
	"CVE-2021-22555":   {[]string{"userns"}, "Google security research 2021-07: x_tables needs CAP_NET_ADMIN"},
	"CVE-2022-0185":    {[]string{"userns"}, "oss-security 2022-01-18: needs CAP_SYS_ADMIN, had in a user namespace"},
	"CVE-2022-0492":    {[]string{"userns"}, "NVD, Unit 42 2022-03: cgroup v1 mounted in a user namespace"},
	"CVE-2022-1015":    {[]string{"nf_tables", "userns"}, "oss-security 2022-03-28: nf_tables needs CAP_NET_ADMIN"},
	"CVE-2022-2588":    {[]string{"userns"}, "oss-security 2022-08-09: cls_route needs CAP_NET_ADMIN"},
	"CVE-2022-23222":   {[]string{"bpf"}, "oss-security 2022-01-13: unprivileged bpf()"},
	"CVE-2022-25636":   {[]string{"nf_tables", "userns"}, "oss-security 2022-02-21: nf_tables offload needs CAP_NET_ADMIN"},
	"CVE-2022-27666":   {[]string{"xfrm", "userns"}, "oss-security 2022-03-24: esp6 transformation needs CAP_NET_ADMIN"},
	"CVE-2022-32250":   {[]string{"nf_tables", "userns"}, "oss-security 2022-05-31: nf_tables needs CAP_NET_ADMIN"},
	"CVE-2022-34918":   {[]string{"nf_tables", "userns"}, "oss-security 2022-07-02: nf_tables needs CAP_NET_ADMIN"},
	"CVE-2023-0386":    {[]string{"userns"}, "NVD, kernel commit 4f11ada10d0a: overlayfs mounted in a user namespace"},
	"CVE-2023-2640":    {[]string{"userns"}, "USN-6250-1, GameOver(lay): overlayfs mounted in a user namespace"},
	"CVE-2023-32233":   {[]string{"nf_tables", "userns"}, "oss-security 2023-05-08: nf_tables needs CAP_NET_ADMIN"},
	"CVE-2023-32629":   {[]string{"userns"}, "USN-6250-1, GameOver(lay): overlayfs mounted in a user namespace"},
	"CVE-2023-35001":   {[]string{"nf_tables", "userns"}, "oss-security 2023-07-05: nf_tables needs CAP_NET_ADMIN"},
	"CVE-2024-1086":    {[]string{"nf_tables", "userns"}, "NVD, public exploit 2024-03: nf_tables needs CAP_NET_ADMIN, had in a user namespace"},
}

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}
