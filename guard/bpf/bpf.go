// Package bpf holds the kernel programs of the guard, written in C, and the Go types
// and objects bpf2go makes from them. Nothing here decides or loads anything: package
// guard does. Regenerating with the pinned clang changes nothing.
package bpf

//go:generate go tool -modfile=../../tools/go.mod bpf2go -cc clang-16 -strip llvm-strip-16 -target amd64,arm64 -type root_key -type root -type program_key -type program -type config -type state -type label -type transaction -type event -type identity -type agent -type place_key -type place -type space -type control -type label_flag -type op -type counter Guard guard.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu
