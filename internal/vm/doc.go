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
// kept as a snapshot, and restored for each scenario.
//
// Kernels and the server's disk are made from Debian packages when they are missing
// and kept below $KANNUKI_CACHE, or .cache/vm in the checkout; the folder can be
// deleted at any time. Programs inside a machine prove that they are there with
// package guest.
package vm
