package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The two curves: hosts at fixed package versions, and package versions at fixed hosts.
var (
	byHosts    = []fleetSize{{100, 600, 4}, {300, 600, 4}, {1000, 600, 4}, {3000, 600, 4}, {10000, 600, 4}, {30000, 600, 4}}
	byVersions = []fleetSize{{1000, 600, 1}, {1000, 600, 4}, {1000, 600, 16}, {1000, 600, 64}}
)

// chart draws both curves, user time as bars of one scale, with what one more host and
// one more package version costs.
func chart(measured map[fleetSize]fleetResult) {
	var most time.Duration
	for _, size := range slices.Concat(byHosts, byVersions) {
		most = max(most, measured[size].Cost.User)
	}
	draw := func(label string, n int, r fleetResult) {
		bar := strings.Repeat("#", max(1, int(40*r.Cost.User/max(most, 1))))
		fmt.Printf("  %8d %-9s %-40s %8s\n", n, label, bar, seconds(r.Cost.User))
	}
	fmt.Println("\nuser time of a fleet by hosts, the same package versions")
	for _, size := range byHosts {
		draw("hosts", size.hosts, measured[size])
	}
	first, last := measured[byHosts[0]], measured[byHosts[len(byHosts)-1]]
	fmt.Printf("  one more host: %.3f ms\n", perOne(first, last, byHosts[len(byHosts)-1].hosts-byHosts[0].hosts))
	fmt.Println("user time of a fleet by package versions, the same hosts")
	for _, size := range byVersions {
		draw("versions", measured[size].Distinct, measured[size])
	}
	first, last = measured[byVersions[0]], measured[byVersions[len(byVersions)-1]]
	fmt.Printf("  one more package version: %.3f ms\n", perOne(first, last, last.Distinct-first.Distinct))
	const apiece = 600
	fmt.Printf("  a host of %d packages nobody has met costs %.1f times one whose packages are known\n", apiece,
		apiece*perOne(first, last, last.Distinct-first.Distinct)/perOne(measured[byHosts[0]], measured[byHosts[len(byHosts)-1]], byHosts[len(byHosts)-1].hosts-byHosts[0].hosts))
}

// perOne is the slope between two measurements in milliseconds.
func perOne(a, b fleetResult, n int) float64 {
	return (b.Cost.User - a.Cost.User).Seconds() * 1000 / float64(max(n, 1))
}
