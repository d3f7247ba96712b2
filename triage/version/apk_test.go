package version

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"
)

// ascending versions, each before the next, from the documented orders.
var ascending = map[Order][]string{
	Dpkg: {"0~~", "0~", "0", "0a", "0+", "1.0~beta1~svn1", "1.0~beta1", "1.0-0", "1.0-1~bpo12+1", "1.0-1", "1.0-1ubuntu1", "1.0-1ubuntu1.1", "1.0-1+b1", "1.0-1+b10",
		"1.0-1+deb12u1", "1.0-1+deb12u10", "1.0-1.1", "1.0a-1", "1.0+dfsg-1", "1.0.1-1", "1.10-1", "1:0.1", "10:0"},
	RPM: {"1.0~rc1-1", "1.0~rc2-1", "1.0", "1.0-1.el9", "1.0-1.el9_2.1", "1.0-1.el10", "1.0-2~1", "1.0-2", "1.0^git1-1", "1.0a-1", "1.0.0-1", "1.0.1-1",
		"1.10-1", "1:0.1-1", "32:9.16.23-11.el9"},
	APK: {"0.9", "1.0_alpha", "1.0_alpha2", "1.0_beta", "1.0_pre1", "1.0_rc1", "1.0_rc1-r1", "1.0", "1.0-r0", "1.0-r2", "1.0-r10", "1.0_cvs", "1.0_svn", "1.0_git20200101",
		"1.0_hg", "1.0_p", "1.0_p1", "1.0a", "1.0b", "1.0.0", "1.01", "1.1", "1.2", "1.10", "2"},
	Semver: {"0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "v1.1", "1.10", "2"},
}

func TestDocumentedOrderHoldsForEveryPair(t *testing.T) {
	for order, list := range ascending {
		for i, a := range list {
			for j, b := range list {
				c, err := Compare(order, a, b)
				if err != nil {
					t.Fatal(err)
				}
				if (i < j) != (c < 0) || (i > j) != (c > 0) {
					t.Errorf("%s: %q ? %q gives %d", order, a, b, c)
				}
			}
		}
	}
}

func TestVersionsManagersHoldEqualAreEqual(t *testing.T) {
	for _, c := range []struct {
		order Order
		a, b  string
	}{
		{Dpkg, "0:1.0-0", "1.0"}, {Dpkg, "1.00-1", "1.0-01"}, {Dpkg, "1.0-", "1.0-"},
		{RPM, "0:1.0-1", "1.0-1"}, {RPM, "1.0.-1", "1_0-01"},
		{APK, "01", "1"}, {APK, "1_rc01", "1_rc1"},
		{Semver, "v1", "1.0.0"}, {Semver, "1.0.0+a", "1.0.0+b"},
	} {
		got, err := Compare(c.order, c.a, c.b)
		if strings.HasSuffix(c.a, "-") { // refused by dpkg: an error even against itself
			if err == nil {
				t.Errorf("%s %q: no error", c.order, c.a)
			}
			continue
		}
		if got != 0 || err != nil {
			t.Errorf("%s: %q ? %q gives %d, %v", c.order, c.a, c.b, got, err)
		}
	}
}

// TestAPKAndSemverOrdersAgreeWithScalibr compares with another implementation on
// versions as archives have them. It knows no difference between a missing number
// and ".0" nor between a missing "-r" and "-r0", so both get the same shape first;
// and it holds "_cvs" equal to no suffix, which apk-tools does not, so that is left out.
func TestAPKAndSemverOrdersAgreeWithScalibr(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 40_000 {
		order, ecosystem, one := APK, "Alpine", apkShaped
		if r.IntN(2) == 0 {
			order, ecosystem, one = Semver, "crates.io", semverVersion
		}
		a, b := one(r), one(r)
		x, err := semantic.Parse(strings.TrimPrefix(a, "v"), ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		want, err := x.CompareStr(strings.TrimPrefix(b, "v"))
		if err != nil {
			t.Fatal(err)
		}
		if got := sign(Compare(order, a, b)); got != sign(want, nil) {
			t.Fatalf("%s: %q ? %q: got %c, want %c", order, a, b, got, sign(want, nil))
		}
	}
}

// apkShaped always has three numbers, at most one suffix and a "-r".
func apkShaped(r *rand.Rand) string {
	n := func(below int) string { return string(rune('0' + r.IntN(below))) }
	s := n(2) + "." + n(3) + "." + n(2) + n(10)
	if r.IntN(4) == 0 {
		s += pick(r, []string{"a", "b"})
	}
	if r.IntN(2) == 0 {
		s += pick(r, []string{"_alpha", "_beta2", "_pre1", "_rc1", "_rc10", "_git2", "_p1", "_p", "_svn3", "_hg1"})
	}
	return s + "-r" + n(10)
}
