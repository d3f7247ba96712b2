// Package vm is a test rig: it starts throwaway virtual machines under QEMU's own
// interpreter (never KVM, never a network), so that what attaches to a kernel is
// tried on kernels of servers and never on the one the tests run on. It promises that
// a machine ends with its test even where the test is killed, that nothing a guest
// does reaches the host except through the files and output asked for, and that a
// machine which cannot be had is a skipped test that says why, or a failed one where
// KANNUKI_VM=required.
//
// There are two kinds. The small machine (Run, GoTest) boots a Debian kernel with an
// initramfs written here, in a few seconds, for one program. The Debian machine
// (Debian) is a whole server with systemd and its usual services; it is booted once,
// kept as a snapshot, and restored for each scenario. Its programs lie at the same
// addresses each time (kernel.randomize_va_space is 0): they start much faster so.
//
// A package tries its kernel side in two files. One carries the tag guest, holds the
// tests that attach, and has a TestMain that is guest.Main; go test never compiles it
// by itself. The other runs those tests on every kernel:
//
//	for _, series := range vm.Matrix() {
//		t.Run(series, func(t *testing.T) {
//			kernel := vm.Kernel(t, series)
//			vm.GoTest(t, vm.Config{Kernel: kernel, LSM: kernel.WithoutBPF(t)}, ".", "guest")
//		})
//	}
//
// A scenario on a server starts from the same moment as every other:
//
//	d := vm.Debian(t, vm.Config{Kernel: vm.Kernel(t, "6.12")})
//	d.Push(t, "bin/kannuki-agent", "/usr/sbin/kannuki-agent")
//	r := d.Run(t, "www-data", "sh", "-c", "…")
//	d.Restore(t)
//
// Commands of Run and Do descend from the agent, a unit of its own beside all services,
// not from a login: an administrator's session with its audit id is Command.Login, and
// a whole one comes through the machine's own sshd.
//
// Kernels and the server's disk are made from Debian packages when they are missing
// and kept below $KANNUKI_CACHE, or .cache/vm in the checkout; the folder can be
// deleted at any time. Programs inside a machine prove that they are there with
// package guest.
package vm
