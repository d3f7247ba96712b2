package lang

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/identity"
)

// The English of a refusal is written in identity, beside its code; the catalogue holds a
// copy so that both programs say it in every language.
func TestEveryRefusalOfATokenIsSaidInEveryLanguage(t *testing.T) {
	for code, sentences := range identity.Codes() {
		english := strings.Join(sentences[:], "; ")
		for n := 0; strings.Contains(english, "%s"); n++ {
			english = strings.Replace(english, "%s", "{"+strconv.Itoa(n)+"}", 1)
		}
		for _, l := range Languages {
			switch got, ok := catalogue(l)["token."+string(code)]; {
			case !ok:
				t.Errorf(`%s.token.json lacks "token.%s": %q`, l, code, english)
			case l == "en" && got != english:
				t.Errorf("en.token.json says %q for %s, identity says %q", got, code, english)
			}
		}
	}
}
