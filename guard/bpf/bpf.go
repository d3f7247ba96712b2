// Package bpf holds the kernel programs of the guard, written in C, and the Go types
// and objects bpf2go makes from them. Nothing here decides or loads anything: package
// guard does. Regenerating with the pinned clang changes nothing.
package bpf

//go:generate go tool -modfile=../../tools/go.mod bpf2go -cc clang-16 -strip llvm-strip-16 -target amd64,arm64 -type root_key -type name_key -type place -type group_key -type group -type unit_key -type account_key -type lineage -type lineage_name -type program -type options -type option_how -type extension_key -type config -type label -type transaction -type target -type event -type identity -type place_flag -type control -type label_flag -type op -type counter -type surface -type surface_rule -type syscall_key -type own_key -type port_key -type port -type address_key Guard guard.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu
