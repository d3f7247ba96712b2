//go:build guest && linux

package guard_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policyfile"
)

// interpreters are programs of the standard policy. Here each is this binary, which does
// not care about its arguments and opens what it is told to.
var interpreters = strings.Fields("sh bash fish csh mksh busybox pwsh expect racket python perl ruby php node lua awk tclsh Rscript guile java erl")

// obey is such an interpreter: for each line of its input it opens or stats a path, and
// answers with what came of it.
func obey() int {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		do, path, _ := strings.Cut(lines.Text(), " ")
		var err error
		var fd int
		switch do {
		case "open":
			if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err == nil {
				unix.Close(fd)
			}
		case "stat":
			var s unix.Stat_t
			err = unix.Stat(path, &s)
		default:
			err = fmt.Errorf("do what: %q", do)
		}
		switch {
		case err == nil:
			fmt.Println("done")
		case errors.Is(err, unix.EPERM):
			fmt.Println("refused")
		default:
			fmt.Println(err)
		}
	}
	return 0
}

// isInterpreter tells whether this process runs as one.
func isInterpreter() bool {
	exe, err := os.Readlink("/proc/self/exe")
	return err == nil && filepath.Dir(exe) == "/usr/bin" && exe != attacker
}

func interpreter(argv []string) *exec.Cmd {
	c := exec.Command("/usr/bin/" + strings.TrimPrefix(filepath.Base(argv[0]), "-"))
	c.Args, c.Dir = argv, "/"
	return c
}

// answers runs an interpreter with these arguments and gives it lines to obey.
func answers(t *testing.T, argv, lines []string, files ...*os.File) []string {
	t.Helper()
	c := interpreter(argv)
	c.ExtraFiles = files
	c.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := c.Output()
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(said) != len(lines) {
		t.Fatalf("%.200q: %v: %d lines, %d answers: %.500s", argv, err, len(lines), len(said), out)
	}
	return said
}

// installInterpreters returns them with standard's options, and a ruleset that knows them.
func installInterpreters(t *testing.T) (map[string]ruleset.Options, ruleset.Ruleset) {
	t.Helper()
	prepare(t)
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	p.Fill()
	standard, _ := ruleset.Compile(p, ruleset.Host{}, time.Now())
	rs := rules
	rs.Extensions = []string{".demo"}
	options := map[string]ruleset.Options{}
	for _, name := range interpreters {
		at := "/usr/bin/" + name
		os.Remove(at)
		if err := os.Link(attacker, at); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(at) })
		i := slices.IndexFunc(standard.Programs, func(p ruleset.Program) bool { return p.Path == at })
		if i < 0 || standard.Programs[i].Flags&ruleset.Interpreter == 0 {
			t.Fatalf("%s is no interpreter of standard", name)
		}
		options[name] = standard.Programs[i].Options
		rs.Programs = append(rs.Programs, ruleset.Program{Path: at, Flags: ruleset.Interpreter, Options: options[name]})
	}
	return options, rs
}

// lastElement is what arguments and files are compared by.
func lastElement(word string) string { return word[strings.LastIndexByte(word, '/')+1:] }

// elements are the last elements of all words and of what could stand in them, as far as
// files can be called so.
func elements(argv, scripts []string) []string {
	var all []string
	for _, word := range slices.Concat(argv[1:], scripts) {
		_, value, _ := strings.Cut(word, "=")
		for _, name := range []string{lastElement(word), lastElement(value)} {
			if name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.Contains(name, "\n") {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// judgeLine compares what an interpreter with these arguments may open in user space with
// what ScriptArguments says of them. It returns how much was refused.
func judgeLine(t *testing.T, o ruleset.Options, argv []string) int {
	t.Helper()
	scripts, more := ruleset.ScriptArguments(o, argv)
	names := elements(argv, scripts)
	if len(names) == 0 {
		return 0
	}
	var lines []string
	for _, name := range names {
		if err := os.WriteFile(scratch+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "open "+scratch+"/"+name)
	}
	refused := 0
	for i, said := range answers(t, argv, lines) {
		want := "done"
		if more || slices.ContainsFunc(scripts, func(s string) bool { return lastElement(s) == names[i] }) {
			want = "refused"
			refused++
		}
		if said != want {
			t.Errorf("%.400q: %q is %s, want %s; scripts %.200q, more %v", argv, names[i], said, want, scripts, more)
		}
		os.Remove(scratch + "/" + names[i])
	}
	return refused
}

func TestInterpretersOpenTheirDataAndNotTheirScripts(t *testing.T) {
	options, rs := installInterpreters(t)
	running := runningAlready(t)
	setUp(t, rs)
	t.Run("running already", running)
	t.Run("lines", func(t *testing.T) { linesAreJudged(t, options) })
	t.Run("limits", func(t *testing.T) { limitsAreJudged(t, options) })
	t.Run("random lines", func(t *testing.T) { randomLinesAreJudged(t, options) })
	t.Run("links", linksAreJudged)
	t.Run("descriptors", descriptorsAreJudged)
}

// runningAlready starts an interpreter before there is a policy.
func runningAlready(t *testing.T) func(*testing.T) {
	t.Helper()
	c := interpreter([]string{"awk", "-f", "/tmp/" + strings.Repeat("a/", 200) + "x", "-f/tmp/y", "CODE", "data"})
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	said := bufio.NewScanner(out)
	return func(t *testing.T) {
		for _, row := range []struct{ name, want string }{{"x", "refused"}, {"y", "refused"}, {"CODE", "done"}, {"data", "done"}} {
			if err := os.WriteFile(scratch+"/"+row.name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(in, "open "+scratch+"/"+row.name)
			if !said.Scan() || said.Text() != row.want {
				t.Errorf("%s: %q, want %s", row.name, said.Text(), row.want)
			}
		}
	}
}

func linesAreJudged(t *testing.T, options map[string]ruleset.Options) {
	for _, line := range []string{
		"sh /tmp/x", "sh /tmp/x /tmp/data", "sh -c CMD x", "sh -s -- /tmp/data", "sh - /tmp/x", "sh -- -x", "-sh /tmp/x",
		"bash -euo pipefail /tmp/x", "bash -oe pipefail /tmp/x /tmp/data", "bash --rcfile /tmp/rc -i", "bash --rcfile -bo /tmp/x",
		"bash --rcfile -c -x /tmp/x", "bash --rcfile -- -x /tmp/x", "bash --norc -c CMD /tmp/data", "bash +O extglob /tmp/x /tmp/data",
		"fish -C CMD /tmp/x", "busybox sh /tmp/x", "busybox sh -c CMD", "/usr/bin/busybox busybox sh /tmp/x /tmp/data", "-busybox sh /tmp/x",
		"python /tmp/x /tmp/data", "python -m http.server -d tmp", "python -c CODE --input /tmp/data", "python -Wc /tmp/x", "python -X dev -u /tmp/x",
		"python - /tmp/data", "perl -ne CODE /tmp/data", "perl -i.bak -pe CODE /tmp/data", "perl -Mre /tmp/x", "perl -I lib /tmp/x /tmp/data",
		"ruby -r ./evil -e CODE", "ruby -r ./evil /tmp/x /tmp/data", "php -f /tmp/x /tmp/data", "php -d memory_limit=1 -f/tmp/x", "php -S 127.0.0.1:80 -t web /tmp/router",
		"node -pe CODE /tmp/data", "node -r /tmp/evil /tmp/x data", "node --require=/tmp/evil -e CODE", "node --max-old-space-size 4096 /tmp/x",
		"lua -e CODE /tmp/x", "lua - /tmp/data", "awk CODE /tmp/data", "awk -f /tmp/x /tmp/data", "awk -f/tmp/x -f /tmp/y /tmp/data", "awk -F : -v x=1 CODE /tmp/data",
		"tclsh -encoding utf-8 /tmp/x", "expect -f /tmp/x /tmp/data", "expect -c CODE /tmp/x", "pwsh -NoProfile -File /tmp/x /tmp/data", "pwsh -Command CODE /tmp/data",
		"java -Xmx1g -cp /tmp/lib Main /tmp/data", "java -jar /tmp/app /tmp/data", "java -Dx=h /tmp/X", "java -Dh /tmp/X",
	} {
		argv := strings.Fields(line)
		judgeLine(t, options[strings.TrimPrefix(filepath.Base(argv[0]), "-")], argv)
	}
}

func limitsAreJudged(t *testing.T, options map[string]ruleset.Options) {
	deep := "/tmp/" + strings.Repeat("a-directory-on-the-way/", 40)
	longest := strings.Repeat("n", 255)
	for name, argv := range map[string][]string{
		"a path of 900 bytes":        {"sh", deep + "x", "data"},
		"the longest name":           {"sh", "/tmp/" + longest, longest[1:]},
		"the longest name in a path": {"awk", "-f" + deep + longest, "CODE", "data"},
		"words of one part's length": {"perl", "-I", strings.Repeat("v", 254), "-I", strings.Repeat("v", 255), "-I", strings.Repeat("v", 256), "/tmp/x", "data"},
		"a value behind a sign":      {"node", "--require=" + deep + "x", "-e", "CODE", "data"},
		"a name with padding":        {"sh", "/tmp/./././/////x", "data"},
		"forty options":              append(append([]string{"sh"}, slices.Repeat([]string{"-x"}, 40)...), "/tmp/x", "data"),
		"long code":                  {"perl", "-e", strings.Repeat("1;", 60000), "data"},
		"long code in one word":      {"python", "-c" + strings.Repeat("1;", 60000), "data"},
		"long attached code":         {"perl", "-e" + strings.Repeat("1;", 60000), "/tmp/data"},
		"many letters":               {"sh", "-" + strings.Repeat("x", 600) + "o", "errexit", "/tmp/x", "data"},
		"empty words":                {"sh", "", "data"},
		"an empty value":             {"node", "--require=", "", "data"},
		"more scripts than are kept": append(append([]string{"bash"}, slices.Repeat([]string{"+e"}, ruleset.MaxScripts)...), "/tmp/x", "data"),
		"as many as are kept":        append(append([]string{"bash"}, slices.Repeat([]string{"+e"}, ruleset.MaxScripts-1)...), "/tmp/x", "data"),
		"values of one bundle":       {"bash", "-oOo", "errexit", "extglob", "vi", "/tmp/x", "data"},
	} {
		t.Run(name, func(t *testing.T) { judgeLine(t, options[argv[0]], argv) })
	}
	// Where the kernel gives up, everything is refused.
	for name, argv := range map[string][]string{
		"a thousand options": append(append([]string{"sh"}, slices.Repeat([]string{"-x"}, 1100)...), "/tmp/x"),
		"too many letters":   {"sh", "-" + strings.Repeat("x", 5000), "/tmp/x"},
	} {
		if err := os.WriteFile(scratch+"/x", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if said := answers(t, argv, []string{"open " + scratch + "/x"}); said[0] != "refused" {
			t.Errorf("%s: the script is %s", name, said[0])
		}
	}
}

func randomLinesAreJudged(t *testing.T, options map[string]ruleset.Options) {
	const rounds = 150
	r := rand.New(rand.NewPCG(11, 2026))
	refused := 0
	for i := range rounds {
		name := interpreters[i%len(interpreters)]
		argv := []string{name}
		if name == "busybox" && r.IntN(4) > 0 {
			argv = append(argv, "sh")
		}
		for range 1 + r.IntN(6) {
			argv = append(argv, randomWord(r, len(argv)))
		}
		refused += judgeLine(t, options[name], argv)
	}
	t.Logf("%d lines, %d opens refused", rounds, refused)
	if refused < rounds/4 {
		t.Error("they hardly name any script: they try nothing")
	}
}

func randomWord(r *rand.Rand, at int) string {
	letters := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0.:="
	switch r.IntN(10) {
	case 0, 1, 2:
		word := "-"
		for range 1 + r.IntN(4) {
			word += string(letters[r.IntN(len(letters))])
		}
		return word
	case 3:
		return []string{"-", "--", "+e", "+", "-file", "-jar", "-e", "-f", "-c", "-o"}[r.IntN(10)]
	case 4:
		return []string{"--norc", "--require", fmt.Sprintf("--file=/tmp/f%d", at), fmt.Sprintf("-f/tmp/g%d", at), fmt.Sprintf("-o%d", at)}[r.IntN(5)]
	default:
		return []string{"/tmp/", "./", "", "/tmp//../x/"}[r.IntN(4)] + fmt.Sprintf("w%d", at)
	}
}

// What a link that the arguments name leads to is the script, however it is opened.
func linksAreJudged(t *testing.T) {
	if err := errors.Join(os.WriteFile("/usr/lib/tool", nil, 0o644), os.WriteFile("/usr/lib/other", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	defer func() { os.Remove("/usr/lib/tool"); os.Remove("/usr/lib/other") }()
	// Longer than what a file system keeps of a link at hand.
	far := strings.Repeat("./", 100)
	for _, row := range []struct{ name, link, lines, want string }{
		{"opened", scratch + "/target", "open link, open data", "refused done"},
		{"opened, far", scratch + "/" + far + "target", "open link, open data", "refused done"},
		{"looked at, then opened by its own name", scratch + "/target", "stat link, open data, open target", "done done refused"},
		{"the same, far: nobody knows which", scratch + "/" + far + "target", "stat link, open data, open target", "done refused refused"},
		{"through another link", scratch + "/second", "stat link, open data, open target, open link", "done done refused refused"},
		{"into system space", "/usr/lib/tool", "open link, open data", "done done"},
		{"into system space, far", "/usr/" + far + "lib/tool", "open link, open data", "done done"},
		{"into system space, far, looked at before", "/usr/" + far + "lib/tool", "stat link, open /usr/lib/other, open link, open data", "done done done done"},
		{"nowhere", scratch + "/nowhere", "open link, open data", "no such file or directory, done"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, name := range []string{"link", "target", "second", "data"} {
				os.Remove(scratch + "/" + name)
			}
			if err := errors.Join(os.WriteFile(scratch+"/target", nil, 0o644), os.WriteFile(scratch+"/data", nil, 0o644),
				os.Symlink(scratch+"/target", scratch+"/second"), os.Symlink(row.link, scratch+"/link")); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for line := range strings.SplitSeq(row.lines, ", ") {
				do, path, _ := strings.Cut(line, " ")
				if !filepath.IsAbs(path) {
					path = scratch + "/" + path
				}
				lines = append(lines, do+" "+path)
			}
			got := strings.Join(answers(t, []string{"sh", scratch + "/link", "data"}, lines), " ")
			if got != strings.ReplaceAll(row.want, ",", "") {
				t.Errorf("%s: %s, want %s", row.lines, got, row.want)
			}
		})
	}
}

// A script that is handed over as a descriptor is one; a pipe is not looked into.
func descriptorsAreJudged(t *testing.T) {
	if err := errors.Join(os.WriteFile(scratch+"/x", nil, 0o644), os.WriteFile(scratch+"/data", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(scratch + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	lines := []string{"open /proc/self/fd/3", "open " + scratch + "/data"}
	if got := answers(t, []string{"sh", "/proc/self/fd/3"}, lines, f); got[0] != "refused" || got[1] != "done" {
		t.Errorf("a file: %q", got)
	}
	if got := answers(t, []string{"sh", "/proc/self/fd/3"}, lines, r); got[0] != "done" || got[1] != "done" {
		t.Errorf("a pipe: %q", got)
	}
}
