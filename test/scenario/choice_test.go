package scenario_test

import (
	"cmp"
	"os"
)

// Whoever works on one file of attacks, or on one kernel, need not wait for all:
//
//	KANNUKI_SCENARIOS=self.txt KANNUKI_KERNEL=6.1 go test -run ComesOff ./test/scenario

// chosenFiles is a pattern of scenario files.
func chosenFiles() string { return cmp.Or(os.Getenv("KANNUKI_SCENARIOS"), "*.txt") }

// chosenKernel is the series of the one kernel to run on where not all are asked for.
func chosenKernel() string { return cmp.Or(os.Getenv("KANNUKI_KERNEL"), "6.12") }
