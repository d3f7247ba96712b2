package ruleset_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policyfile"
)

var update = flag.Bool("update", false, "write the golden files")

func TestStandardOnDebianIsAsItWasRead(t *testing.T) {
	h := debian()
	rs, gaps := compile(t, builtin(t, policyfile.Default), h)
	got := listing(rs, func(p ruleset.Program) bool {
		_, err := fs.Lstat(h.FS, p.Path[1:])
		return err == nil
	})
	got += fmt.Sprintf("\n-- %d places, %d programs, %d lineages, %d groups, %d rules --\n\n-- gaps --\n", len(rs.Places), len(rs.Programs), len(rs.Lineages), len(rs.Groups), len(rs.Rules))
	for _, g := range gaps {
		got += fmt.Sprintf("%s %s %s: %s\n", g.Control, g.Rule, g.Subject, g.Why)
	}
	golden(t, "testdata/standard-debian.txt", got)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == got {
		return
	}
	w, g := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			t.Fatalf("%s line %d:\n got %s\nwant %s\n(go test ./guard/ruleset -update writes it; read the difference)", file, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s has %d lines, got %d", file, len(w), len(g))
}
