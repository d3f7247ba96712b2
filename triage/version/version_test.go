package version

import (
	"math/rand/v2"
	"testing"
)

func TestOrderOfKnowsEveryReleaseOfAnEcosystem(t *testing.T) {
	for ecosystem, want := range map[string]Order{
		"Debian:12": Dpkg, "Debian": Dpkg, "Ubuntu:22.04:LTS": Dpkg, "Ubuntu:Pro:18.04:LTS": Dpkg,
		"AlmaLinux:9": RPM, "Rocky Linux:9": RPM, "Red Hat:enterprise_linux:9::baseos": RPM, "SUSE:Linux Enterprise Server 15 SP5": RPM,
		"SUSE Linux Enterprise Server:15": RPM, "openSUSE:Leap 15.6": RPM, "Fedora:40": RPM, "Oracle Linux:9": RPM, "Amazon Linux:2023": RPM,
		"openEuler:24.03-LTS": RPM, "Photon OS:5.0": RPM, "Mageia:9": RPM, "Azure Linux:3": RPM,
		"Alpine:v3.19": APK, "Wolfi": APK, "Chainguard": APK, "Go": Semver, "npm": Semver,
		"": 0, "PyPI": 0, "Debianish:1": 0, "Googol": 0, "Maven": 0,
	} {
		got, ok := OrderOf(ecosystem)
		if got != want || ok != (want != 0) {
			t.Errorf("%q: got %v, %v, want %v", ecosystem, got, ok, want)
		}
	}
}

func TestComparingAllocatesNothing(t *testing.T) {
	for order, list := range ascending {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Compare(order, list[1], list[2]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", order, n)
		}
	}
}

var makers = map[Order]func(*rand.Rand) string{Dpkg: dpkgVersion, RPM: rpmVersion, APK: apkVersion, Semver: semverVersion}

// checkLaws tells what law of a total order three versions break, or "".
func checkLaws(order Order, a, b, c string) string {
	var x, y, z key
	if x.parse(order, a) != nil {
		return ""
	}
	if x.compare(&x) != 0 {
		return "reflexive"
	}
	if y.parse(order, b) != nil {
		return ""
	}
	xy := x.compare(&y)
	if yx := y.compare(&x); sign(xy, nil) != sign(-yx, nil) {
		return "antisymmetric"
	}
	if z.parse(order, c) != nil {
		return ""
	}
	yz, xz := y.compare(&z), x.compare(&z)
	if xy <= 0 && yz <= 0 && (xz > 0 || xz == 0 && (xy < 0 || yz < 0)) {
		return "transitive"
	}
	return ""
}

func TestOrdersAreTotalOnGeneratedTriples(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for order, one := range makers {
		for range 30_000 {
			a := one(r)
			b, c := mutate(r, a), mutate(r, a)
			if law := checkLaws(order, a, b, c); law != "" {
				t.Errorf("%s is not %s on %q, %q, %q", order, law, a, b, c)
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	r := rand.New(rand.NewPCG(11, 12))
	for order, one := range makers {
		for range 8 {
			a := one(r)
			f.Add(uint8(order), a, mutate(r, a), mutate(r, a))
		}
	}
	f.Add(uint8(Dpkg), "1\x00", "\xff", "~")
	f.Fuzz(func(t *testing.T, order uint8, a, b, c string) {
		if law := checkLaws(Order(order), a, b, c); law != "" {
			t.Errorf("%s is not %s on %q, %q, %q", Order(order), law, a, b, c)
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	for _, c := range []struct {
		name  string
		order Order
		a, b  string
	}{
		{"dpkg/last-number", Dpkg, "1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3"},
		{"dpkg/first-number", Dpkg, "5.36.0-7+deb12u1", "6.36.0-7+deb12u1"},
		{"dpkg/long", Dpkg, "2:4.17.12+dfsg-0+deb12u1+b1", "2:4.17.12+dfsg-0+deb12u1"},
		{"rpm", RPM, "32:9.16.23-11.el9_2.2", "32:9.16.23-11.el9_2.3"},
		{"apk", APK, "3.1.4_git20230101-r5", "3.1.4_git20230101-r6"},
		{"semver", Semver, "1.22.3-rc.1", "1.22.3-rc.2"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compare(c.order, c.a, c.b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
