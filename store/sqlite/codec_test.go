package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

// TestStatementsComeBackAsTheyWentIn: the short form loses nothing, and what it cannot
// hold is not put into it.
func TestStatementsComeBackAsTheyWentIn(t *testing.T) {
	before := func(fix string) []vuln.Range {
		return []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: fix}}}}
	}
	for name, c := range map[string]struct {
		affected vuln.Affected
		short    bool
	}{
		"usual":                    {vuln.Affected{SourcePackage: true, Ranges: before("1:2.0-1~deb12u1")}, true},
		"usual with urgency":       {vuln.Affected{SourcePackage: true, Ranges: before("2"), Urgency: "low"}, true},
		"a binary package":         {vuln.Affected{Ranges: before("2")}, false},
		"a module":                 {vuln.Affected{SourcePackage: true, Ranges: before("2"), Module: "nodejs:18"}, false},
		"an architecture":          {vuln.Affected{SourcePackage: true, Ranges: before("2"), Arches: []string{"amd64"}}, false},
		"a status":                 {vuln.Affected{SourcePackage: true, Ranges: before("2"), Status: "end_of_life"}, false},
		"versions":                 {vuln.Affected{SourcePackage: true, Ranges: before("2"), Versions: []string{"1"}}, false},
		"another kind of range":    {vuln.Affected{SourcePackage: true, Ranges: []vuln.Range{{Kind: "SEMVER", Events: before("2")[0].Events}}}, false},
		"a later beginning":        {vuln.Affected{SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "1"}, {Fixed: "2"}}}}}, false},
		"a last affected version":  {vuln.Affected{SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {LastAffected: "2"}}}}}, false},
		"no fix":                   {vuln.Affected{SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}}}}}, false},
		"two ranges":               {vuln.Affected{SourcePackage: true, Ranges: append(before("2"), before("3")...)}, false},
		"a NUL in the version":     {vuln.Affected{SourcePackage: true, Ranges: before("2\x003")}, false},
		"a NUL in the urgency":     {vuln.Affected{SourcePackage: true, Ranges: before("2"), Urgency: "a\x00b"}, true},
		"nothing but a status":     {vuln.Affected{Status: "not_affected"}, false},
		"a text of over 512 bytes": {vuln.Affected{SourcePackage: true, Ranges: before("2"), Versions: make([]string, 300)}, false},
	} {
		c.affected.Ecosystem, c.affected.Package = "Debian:12", "demo"
		_, statements, err := split(vuln.Record{Affected: []vuln.Affected{c.affected}})
		if err != nil {
			t.Fatal(err)
		}
		if got := statements[0].body[0] == usual; got != c.short {
			t.Errorf("%s: short form %v, want %v", name, got, c.short)
		}
		var r vuln.Record
		if err := join(&r, statements[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]vuln.Affected{c.affected}, r.Affected); diff != "" {
			t.Errorf("%s (-in +out)\n%s", name, diff)
		}
	}
	if err := unpackAffected([]byte{usual, '2'}, new(vuln.Affected)); err == nil {
		t.Error("a short statement that is cut is read")
	}
}
