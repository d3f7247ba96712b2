package triage

import "testing"

func TestNewestIsTheLatestInTheEcosystemsOrder(t *testing.T) {
	for _, c := range []struct {
		ecosystem string
		versions  []string
		want      string
		ok        bool
	}{
		{"Debian:12", []string{"6.1.99-1", "6.1.140-1", "6.1.140-1~deb12u1"}, "6.1.140-1", true},
		{"AlmaLinux:9", []string{"1:3.0.7-24.el9", "3.0.9-1.el9"}, "1:3.0.7-24.el9", true},
		{"Debian:12", []string{"2.0"}, "2.0", true},
		{"Debian:12", nil, "", false},
		{"Debian:12", []string{"1.0", "no version at all"}, "", false},
		{"", []string{"1", "2"}, "", false},
	} {
		if got, ok := Newest(c.ecosystem, c.versions); got != c.want || ok != c.ok {
			t.Errorf("Newest(%q, %q) = %q, %v, want %q, %v", c.ecosystem, c.versions, got, ok, c.want, c.ok)
		}
	}
}
