package redhat

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

func TestEveryRealRecordIsReadWithoutReject(t *testing.T) {
	n := map[string]int{}
	for name, r := range realdata.Members(t, "redhat/redhat-securitydata-cve-2024-10-10.tar.zst") {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		n["files"]++
		err := Decode(r, func(rec vuln.Record) error {
			n["records"]++
			n["affected"] += len(rec.Affected)
			for _, a := range rec.Affected {
				n["status "+a.Status]++
				if a.Module != "" {
					n["modular"]++
				}
				if a.Ecosystem == "Red Hat:enterprise_linux:9" && a.Status == "" && a.Module == "" {
					n["rhel 9"]++
				}
			}
			if len(rec.Severities) > 0 {
				n["scored"]++
			}
			if rec.Rejected {
				n["rejected"]++
			}
			if rec.ID == "CVE-2024-6387" {
				checkRegreSSHion(t, rec)
			}
			return nil
		}, func(offset int64, id, reason string) error {
			t.Errorf("%s: byte %d: %s rejected: %s", name, offset, id, reason)
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%v", n)
	if n["files"] != 34222 || n["records"] != n["files"] {
		t.Errorf("%d records of %d files; want 34222 of both", n["records"], n["files"])
	}
}

// checkRegreSSHion checks one record that was read by hand.
func checkRegreSSHion(t *testing.T, r vuln.Record) {
	fixed := map[string]string{}
	for _, a := range r.Affected {
		if a.Package == "openssh" && len(a.Ranges) == 1 && len(a.Ranges[0].Events) == 2 {
			if fixed[a.Ecosystem] != "" {
				t.Errorf("%s: %s twice", r.ID, a.Ecosystem)
			}
			fixed[a.Ecosystem] = a.Ranges[0].Events[1].Fixed
		}
		if a.Package == "openssh" && a.Ecosystem == "Red Hat:enterprise_linux:8" && a.Status != "not_affected" {
			t.Errorf("%s: RHEL 8 is %q; want not_affected", r.ID, a.Status)
		}
	}
	for eco, want := range map[string]string{
		"Red Hat:enterprise_linux:9": "8.7p1-38.el9_4.1", "Red Hat:rhel_eus:9.2": "8.7p1-30.el9_2.4", "Red Hat:rhel_e4s:9.0": "8.7p1-12.el9_0.1",
	} {
		if fixed[eco] != want {
			t.Errorf("%s: fixed in %s = %q; want %q", r.ID, eco, fixed[eco], want)
		}
	}
}
