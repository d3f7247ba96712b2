package ruleset_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// optionsOf are the options standard gives a program.
func optionsOf(t *testing.T, name string) ruleset.Options {
	t.Helper()
	rs, _ := compile(t, builtin(t, "standard"), ruleset.Host{})
	for _, p := range rs.Programs {
		if p.Path == "/usr/bin/"+name {
			if p.Flags&ruleset.Interpreter == 0 {
				t.Fatalf("%s is no interpreter", name)
			}
			return p.Options
		}
	}
	t.Fatalf("standard does not know %s", name)
	return ruleset.Options{}
}

func TestTheScriptOfACommandLineIsFoundAndItsDataIsNot(t *testing.T) {
	options := map[string]ruleset.Options{}
	for _, row := range []struct{ line, scripts string }{
		{"sh /tmp/x", "/tmp/x"},
		{"sh /tmp/x /tmp/data", "/tmp/x"},
		{"sh -e /tmp/x", "/tmp/x"},
		{"sh -c CMD x", ""},
		{"sh -ec CMD /tmp/data", ""},
		{"bash -lc CMD /tmp/data", ""},
		{"sh -s -- /tmp/data", ""},
		{"sh -", ""},
		{"sh - /tmp/x", "/tmp/x"},
		{"sh -- -x", "-x"},
		{"bash -o errexit /tmp/x", "/tmp/x"},
		{"bash -euo pipefail /tmp/x", "/tmp/x"},
		{"bash -oe pipefail /tmp/x", "/tmp/x"},
		{"bash -O extglob /tmp/x /tmp/data", "/tmp/x"},
		{"bash --posix /tmp/x", "/tmp/x"},
		{"bash --rcfile /tmp/rc -i", "/tmp/rc"},
		{"bash --rcfile /dev/null /tmp/x", "/dev/null /tmp/x"},
		{"bash --rcfile -bo /tmp/x", "/tmp/x"},
		{"bash --rcfile -c -x /tmp/x", "/tmp/x"},
		{"bash --rcfile -- -x /tmp/x", "-x /tmp/x"},
		{"bash --norc -c CMD /tmp/data", "CMD"},
		{"bash --norc -o errexit /tmp/x /tmp/data", "errexit /tmp/x"},
		{"node --no-warnings -e CODE /tmp/data", "CODE"},
		{"node --no-warnings -e CODE -r /tmp/x /tmp/data", "CODE /tmp/x"},
		{"bash +x /tmp/x", "+x /tmp/x"},
		{"bash +O extglob /tmp/x", "+O extglob /tmp/x"},
		{"bash", ""},
		{"busybox sh /tmp/x", "/tmp/x"},
		{"busybox sh -c CMD", ""},
		{"busybox busybox sh /tmp/x", "/tmp/x"},
		{"fish -C CMD /tmp/x", "/tmp/x"},
		{"python /tmp/x /tmp/data", "/tmp/x"},
		{"python -m http.server -d /tmp", ""},
		{"python -c CODE --input /tmp/data", ""},
		{"python -Ic CODE /tmp/data", ""},
		{"python -W ignore /tmp/x", "/tmp/x"},
		{"python -Wc /tmp/x", "/tmp/x"},
		{"python -X dev -u /tmp/x", "/tmp/x"},
		{"python - /tmp/data", ""},
		{"python -- /tmp/x", "/tmp/x"},
		{"perl -ne CODE /tmp/data", ""},
		{"perl -i.bak -pe CODE /tmp/data", ""},
		{"perl -pi -e CODE /tmp/data", ""},
		{"perl -F: -lane CODE /tmp/data", ""},
		{"perl -0777 -ne CODE /tmp/data", ""},
		{"perl -i.e /tmp/x", "/tmp/x"},
		{"perl -Mre /tmp/x", "/tmp/x"},
		{"perl -I /tmp/lib /tmp/x", "/tmp/x"},
		{"perl -w /tmp/x", "/tmp/x"},
		{"perl -d:Trace /tmp/x", "/tmp/x"},
		{"ruby -ne CODE /tmp/data", ""},
		{"ruby -r ./evil -e CODE", "./evil"},
		{"ruby -r ./evil /tmp/x", "./evil /tmp/x"},
		{"ruby -C /tmp x", "x"},
		{"php /tmp/x /tmp/data", "/tmp/x"},
		{"php -f /tmp/x /tmp/data", "/tmp/x"},
		{"php -r CODE /tmp/data", ""},
		{"php -B CODE -F /tmp/x", "/tmp/x"},
		{"php -d memory_limit=1 -f/tmp/x", "/tmp/x"},
		{"php -S 127.0.0.1:80 -t /tmp /tmp/router", "/tmp/router"},
		{"awk CODE /tmp/data", ""},
		{"awk -F: CODE /tmp/data", ""},
		{"awk -F : -v x=1 CODE /tmp/data", ""},
		{"awk -f /tmp/x /tmp/data", "/tmp/x"},
		{"awk -f/tmp/x -f /tmp/y /tmp/data", "/tmp/x /tmp/y"},
		{"gawk --file=/tmp/x /tmp/data", "/tmp/x"},
		{"gawk --file /tmp/x /tmp/data", "/tmp/x"},
		{"lua -e CODE /tmp/x", "/tmp/x"},
		{"lua -l mod /tmp/x /tmp/data", "/tmp/x"},
		{"lua - /tmp/data", ""},
		{"node /tmp/x /tmp/data", "/tmp/x"},
		{"node -e CODE /tmp/data", ""},
		{"node -pe CODE /tmp/data", ""},
		{"node -r /tmp/evil /tmp/x", "/tmp/evil /tmp/x"},
		{"node --require=/tmp/evil -e CODE", "/tmp/evil"},
		{"node --max-old-space-size 4096 /tmp/x", "4096 /tmp/x"},
		{"java -Xmx1g -cp /tmp/lib Main /tmp/data", "/tmp/lib Main"},
		{"java -jar /tmp/app /tmp/data", "/tmp/app"},
		{"java -Dx=h /tmp/X.java", "/tmp/X.java"},
		{"java -Dh /tmp/X.java", "/tmp/X.java"},
		{"tclsh -encoding utf-8 /tmp/x", "utf-8 /tmp/x"},
		{"expect -f /tmp/x /tmp/data", "/tmp/x"},
		{"expect -c CODE /tmp/x", "/tmp/x"},
		{"pwsh -NoProfile -File /tmp/x /tmp/data", "/tmp/x"},
		{"pwsh -Command CODE /tmp/data", ""},
	} {
		argv := strings.Fields(row.line)
		if _, ok := options[argv[0]]; !ok {
			options[argv[0]] = optionsOf(t, argv[0])
		}
		got, more := ruleset.ScriptArguments(options[argv[0]], argv)
		if slices.Sort(got); more || strings.Join(got, " ") != strings.Join(slices.Sorted(slices.Values(strings.Fields(row.scripts))), " ") {
			t.Errorf("%s: %q, want %q", row.line, got, row.scripts)
		}
	}
}

func TestMoreScriptsThanTheKernelKeepsAreTold(t *testing.T) {
	argv := append([]string{"bash"}, slices.Repeat([]string{"+e"}, ruleset.MaxScripts)...)
	if got, more := ruleset.ScriptArguments(optionsOf(t, "bash"), append(argv, "/tmp/x")); !more || len(got) != ruleset.MaxScripts {
		t.Errorf("%q, more %v", got, more)
	}
}

// Whatever the words: reading ends, and what it finds stands in them.
func FuzzScriptArguments(f *testing.F) {
	for _, line := range []string{"", "sh", "sh\n-", "sh\n-o", "sh\n-\n-", "sh\n--", "awk\n-f", "busybox", "bash\n--rcfile\n-bo\n/tmp/x", "sh\n-\xff\x00"} {
		f.Add(line, uint64(0), uint64(1<<14), uint64(1<<5), true)
		f.Add(line, ^uint64(0), ^uint64(0), ^uint64(0), false)
	}
	f.Fuzz(func(t *testing.T, line string, inline, valued, script uint64, words bool) {
		argv := strings.Split(line, "\n")
		o := ruleset.Options{Inline: inline, Valued: valued, Attached: valued ^ script, Script: script, NoScript: inline&1 != 0, Words: words, Applet: !words}
		got, more := ruleset.ScriptArguments(o, argv)
		if len(got) > ruleset.MaxScripts || more && len(got) < ruleset.MaxScripts {
			t.Fatalf("%d scripts, more %v", len(got), more)
		}
		for _, s := range got {
			if !slices.ContainsFunc(argv, func(word string) bool { return strings.HasSuffix(word, s) }) {
				t.Fatalf("%q is in no word of %q", s, argv)
			}
		}
	})
}

// The interpreters of this machine are the judge: whenever one of them runs the file,
// the file has to be among its scripts. Command lines are random rows of options and
// words; most are nonsense, as an attacker's would be.
func TestWhatAnInterpreterRunsIsAmongItsScripts(t *testing.T) {
	for _, tool := range []struct {
		name, code, bundle string
		words              []string
		before             string // its script
		rounds             int
	}{
		{"dash", "echo KANNUKI", "abefilmnuvxocsI", []string{"errexit", "true", "+e", "+o"}, "", 100},
		{"bash", "echo KANNUKI", "abefhklmprtuvxBCEHPTDcilrsoO", []string{"errexit", "extglob", "true", "+e", "+o", "+O", "--norc", "--posix", "--rcfile", "--noprofile"}, "", 80},
		{"perl", "print 'KANNUKI'", "acefFiIlmMnpsStTUvVwWxXC0", []string{"strict", "1", "-i.e", "-Mstrict", "-F:"}, "", 80},
		{"mawk", `BEGIN { print "KANNUKI" }`, "fvFW", []string{"BEGIN{}", "x=1", ":"}, "-f", 80},
		{"node", "console.log('KANNUKI')", "rpeichv", []string{"1", "fs", "--no-warnings", "--require", "--stack-size", "900"}, "", 12},
		{"python3", "print('KANNUKI')", "bBdEiIOqsSuvVWxXmc", []string{"ignore", "dev", "pass", "--check-hash-based-pycs", "never"}, "", 8},
		{"busybox", "echo KANNUKI", "efnuxcso", []string{"sh", "ash", "errexit", "true"}, "sh", 80},
	} {
		t.Run(tool.name, func(t *testing.T) {
			at, err := exec.LookPath(tool.name)
			if err != nil {
				t.Skip(err)
			}
			name := tool.name
			if o := strings.TrimRight(name, "3"); o == "python" {
				name = o
			}
			judge(t, at, tool.code, optionsOf(t, name), tool.bundle, tool.words, tool.before, tool.rounds)
		})
	}
}

func judge(t *testing.T, at, code string, o ruleset.Options, letters string, words []string, before string, rounds int) {
	dir := t.TempDir()
	script := filepath.Join(dir, "SCRIPT")
	r := rand.New(rand.NewPCG(7, uint64(len(letters))))
	ran := 0
	for range rounds {
		if err := os.WriteFile(script, []byte(code+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		argv := []string{filepath.Base(at)}
		if before == "sh" {
			argv = append(argv, before)
		}
		for range r.IntN(4) {
			switch r.IntN(4) {
			case 0, 1:
				word := "-"
				for range 1 + r.IntN(3) {
					word += string(letters[r.IntN(len(letters))])
				}
				argv = append(argv, word)
			case 2:
				argv = append(argv, words[r.IntN(len(words))])
			case 3:
				argv = append(argv, []string{"-", "--", script, "data"}[r.IntN(4)])
			}
		}
		if before == "-f" {
			argv = append(argv, before)
		}
		argv = append(argv, script)
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		c := exec.CommandContext(ctx, at)
		c.Args, c.Dir = argv, dir
		out, _ := c.Output() // a nonsensical line fails, and runs nothing
		stop()
		if !strings.Contains(string(out), "KANNUKI") || strings.Contains(string(out), code) {
			continue
		}
		ran++
		if got, more := ruleset.ScriptArguments(o, argv); !more && !slices.Contains(got, script) {
			t.Errorf("%q ran its script; found %q", argv, got)
		}
	}
	if ran*20 < rounds {
		t.Errorf("only %d of %d lines ran the script: they try nothing", ran, rounds)
	}
	t.Logf("%d of %d lines ran the script", ran, rounds)
}
