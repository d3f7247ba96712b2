package guard

import "testing"

func TestTheMountMadeLastIsTheOneThatIsSeen(t *testing.T) {
	mounts := []mount{{at: "/", kind: "ext4"}, {at: "/srv", kind: "xfs"}, {at: "/srv/a", kind: "nfs"}, {at: "/srv", kind: "tmpfs"}}
	for at, want := range map[string]string{"/": "ext4", "/srv": "tmpfs", "/srv/a": "nfs", "/home": ""} {
		if m, ok := mountedAt(mounts, at); m.kind != want || ok != (want != "") {
			t.Errorf("at %s: %q, %v; want %q", at, m.kind, ok, want)
		}
	}
}

func TestALineOfMountinfoIsRead(t *testing.T) {
	for line, want := range map[string]mount{
		"36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw":                  {at: "/", root: "/", kind: "ext4"},
		`36 35 98:0 /my\040root /at\011tab\134 rw master:1 - fuse.sshfs a:/ - rw`: {at: "/at\ttab\\", root: "/my root", kind: "fuse.sshfs"},
		"36 35 98:0 / /none rw":      {},
		"36 35 98:0 / - ext4 dev rw": {},
	} {
		if m, ok := parseMount(line); m != want || ok != (want != mount{}) {
			t.Errorf("%s: %+v, %v; want %+v", line, m, ok, want)
		}
	}
}
