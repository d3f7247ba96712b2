package policyexport_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/policyexport"
)

func TestEveryKeyOfAnExportIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/windows.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "## Export a policy")
	if !found {
		t.Fatal("docs/windows.md has no section about exports")
	}
	for _, v := range []any{policyexport.CodeIntegrity{}, policyexport.PathRule{}, policyexport.DeniedFile{}, policyexport.Reduction{},
		policyexport.ReductionRule{}, policyexport.ProtectedFolder{}, policyexport.Gap{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			if key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); !strings.Contains(section, "`"+key+"`") {
				t.Errorf("docs/windows.md does not name `%s` of %v", key, typ)
			}
		}
	}
}
