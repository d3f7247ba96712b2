package scenario

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Instance is an attack in one way by one actor, or a piece of work: what a machine does.
type Instance struct {
	Block
	Name  string // "G07 the loader starts … as www-data"
	N     string // its own name in paths
	Actor string // or worker
	Way   Way
	vars  *strings.Replacer
	dir   string
	file  string
	spell string
}

// Instances are all of a file's, in the order of the file.
func Instances(blocks []Block) []Instance {
	var all []Instance
	for i, b := range blocks {
		stem := strings.TrimSuffix(path.Base(b.File), ".txt")
		if b.ID == "" {
			all = append(all, instance(b, b.As, Way{Name: "plain"}, fmt.Sprintf("%s%d", stem, i)))
			continue
		}
		list := b.Vary
		if len(list) == 0 {
			list = []Way{{Name: "plain"}}
		}
		for _, w := range list {
			for _, actor := range Actors {
				if slices.Contains(b.Refused, actor) || slices.Contains(b.Works, actor) {
					n := fmt.Sprintf("%s-%s%d", strings.ToLower(b.ID), stem, i)
					if w.Name != "plain" {
						n += "-" + strings.ReplaceAll(w.String(), " ", "")
					}
					all = append(all, instance(b, actor, w, n))
				}
			}
		}
	}
	return all
}

// Marks is the directory of $MARK; Tmp the one of $TMP.
const (
	Marks = "/var/tmp/marks"
	Tmp   = "/tmp"
)

func instance(b Block, actor string, w Way, n string) Instance {
	i := Instance{Block: b, Actor: actor, Way: w, N: n + "-" + actor[:1]}
	i.Name = strings.TrimSpace(b.ID + " " + b.Title)
	if w.Name != "plain" {
		i.Name += ", " + w.String()
	}
	i.Name += " as " + actor
	top, tmp := path.Join(b.At, i.N), path.Join(Tmp, i.N)
	i.dir = top + strings.Repeat("/d", w.Deep)
	i.file = path.Join(i.dir, i.N) // events tell the last levels of a path only
	switch w.Name {
	case "symlink":
		i.spell = tmp + "/symlink"
	case "hardlink":
		i.spell = tmp + "/hardlink"
	case "bind":
		i.spell = tmp + "/bind/" + i.N
	case "procroot":
		i.spell = "/proc/self/root" + i.file
	default:
		i.spell = i.file
	}
	i.vars = strings.NewReplacer("$FILE", i.file, "$DIR", i.dir, "$TMP", tmp, "$MARK", Marks+"/"+i.N, "$N", i.N, "$X", i.spell)
	return i
}

// Refuses tells whether the guard must refuse it.
func (i Instance) Refuses() bool { return slices.Contains(i.Block.Refused, i.Actor) }

// Directory is one that a step finds made.
type Directory struct {
	Path string
	Own  bool // its actor's; else root's
}

// Directories are $DIR and $TMP with all above them.
func (i Instance) Directories() []Directory {
	tmp := path.Join(Tmp, i.N)
	dirs := []Directory{{tmp, true}}
	own := i.At == Tmp || i.At == "/var/tmp" || i.At == "/dev/shm"
	for at := i.dir; at != i.At && at != tmp; at = path.Dir(at) {
		dirs = append(dirs, Directory{at, own})
	}
	if i.Way.Name == "bind" {
		dirs = append(dirs, Directory{tmp + "/bind", true})
	}
	slices.SortFunc(dirs, func(a, b Directory) int { return len(a.Path) - len(b.Path) })
	return dirs
}

// Preparation is a script for root's shell, once the directories are there; it may be
// empty.
func (i Instance) Preparation() string {
	var lines []string
	for _, p := range i.Block.Prepare {
		lines = append(lines, i.vars.Replace(p))
	}
	switch i.Way.Name {
	case "symlink":
		lines = append(lines, fmt.Sprintf("ln -s %s %s", i.file, i.spell))
	case "hardlink":
		lines = append(lines, fmt.Sprintf("ln %s %s", i.file, i.spell))
	case "bind":
		lines = append(lines, fmt.Sprintf("mount --bind %s %s", i.dir, path.Dir(i.spell)))
	}
	return strings.Join(lines, "\n")
}

// Operations are its do lines as words.
func (i Instance) Operations() ([][]string, error) {
	var all [][]string
	for _, do := range i.Do {
		words, err := Words(i.vars.Replace(do))
		if err != nil {
			return nil, err
		}
		all = append(all, words)
	}
	return all, nil
}

// Script are its do lines as a shell's.
func (i Instance) Script() string { return i.vars.Replace(strings.Join(i.Do, "\n")) }

// Approach is a script for root's shell, right before the step; it may be empty.
// guarded tells whether there is a guard, for whose own things nothing then stands in.
func (i Instance) Approach(guarded bool) string {
	lines := i.Before
	if !guarded {
		lines = slices.Concat(i.StandIn, i.Before)
	}
	return i.vars.Replace(strings.Join(lines, "\n"))
}

// Condition is what shows that it came off, as one shell command.
func (i Instance) Condition() string {
	return i.vars.Replace("{ " + strings.Join(i.Shows, " ; } && { ") + " ; }")
}

// CameOff is the line that Look prints.
const CameOff = "it came off"

// Look is a script for root's shell, right after the step: it prints CameOff where what
// shows it holds, and then takes back what is to be undone, or fails.
func (i Instance) Look() string {
	undo := strings.Join(i.Block.Undo, "\n")
	return fmt.Sprintf("if %s; then\necho '%s'\nset -e\n%s\nfi", i.Condition(), CameOff, i.vars.Replace(undo))
}

// EventPath is what the path of its event contains.
func (i Instance) EventPath() string {
	if i.Event == AnyEvent {
		return ""
	}
	if i.Event != "" {
		return i.vars.Replace(i.Event)
	}
	return i.N
}
