package policy

import (
	"fmt"
	"strconv"
	"strings"
)

func (r SystemPath) key() string { return "system:" + r.Place.String() }
func (r SystemPath) opens() bool { return true }
func (r SystemPath) says() string {
	s := r.Place.String() + " may launch; "
	if r.Seal == Sealed {
		s += "only updaters change it"
	} else {
		s += "contained processes do not change it"
	}
	return s + except(r.Writers)
}

func except(who []Who) string {
	if len(who) == 0 {
		return ""
	}
	return ", except " + names(who)
}

func (r UserPath) key() string {
	if len(r.Names) > 0 {
		return "user:" + r.Path + "/" + strings.Join(r.Names, ",")
	}
	return "user:" + r.Path
}
func (r UserPath) opens() bool { return true }
func (r UserPath) says() string {
	if len(r.Names) > 0 {
		return "directories named " + strings.Join(r.Names, ", ") + " below " + r.Path + " may change and may not launch"
	}
	return r.Path + " may change and may not launch"
}

func (r PrivatePath) key() string { return "private:" + r.Place.String() }
func (r PrivatePath) opens() bool { return false }
func (r PrivatePath) says() string {
	return "contained processes do not read " + r.Place.String() + except(r.Readers)
}

func (r PersistencePath) key() string { return "persistence:" + r.Place.String() }
func (r PersistencePath) opens() bool { return false }
func (r PersistencePath) says() string {
	who := "contained processes do not change "
	if r.Seal == Sealed {
		who = "nobody but updaters changes "
	}
	return who + r.Place.String() + except(r.Writers)
}

func (r DataPath) key() string { return "data:" + r.Place.String() }
func (r DataPath) opens() bool { return false }
func (r DataPath) says() string {
	s := "contained processes do not change " + r.Place.String() + except(r.Owners)
	if r.ByAccount {
		s += ", and except files of the account they run as"
	}
	return s
}

func (r Role) key() string  { return "role:" + r.Role }
func (r Role) opens() bool  { return true }
func (r Role) says() string { return "role " + r.Role + " is " + names(r.Who) }

func (r Contain) key() string  { return "contain:" + r.bare() }
func (r Contain) opens() bool  { return false }
func (r Contain) says() string { return r.Who.String() + " is contained from its start" }

func (r Exempt) key() string { return "exempt:" + r.bare() }
func (r Exempt) opens() bool { return true }
func (r Exempt) says() string {
	if r.Profile == ProfileNone {
		return r.Who.String() + " is not contained when it listens"
	}
	return r.Who.String() + " has the " + string(r.Profile) + " profile when it listens"
}

func (r Edge) key() string { return "edge:" + r.From.bare() + ">" + r.To }
func (r Edge) opens() bool { return true }
func (r Edge) says() string {
	s := r.From.String() + " may start " + r.To
	if r.Setuid {
		s += " with its set-user-ID or set-group-ID privileges"
	}
	if r.Shell {
		s += ", through sh -c too"
	}
	if r.Leaves {
		s += "; it is not contained then"
	}
	return s
}

func (r ProgramDir) key() string  { return "programs:" + r.Path }
func (r ProgramDir) opens() bool  { return false }
func (r ProgramDir) says() string { return "interpreters and utilities are looked up in " + r.Path }

func (r Interpreter) key() string { return "interpreter:" + r.Language }
func (r Interpreter) opens() bool { return false }
func (r Interpreter) says() string {
	return strings.Join(r.Names, ", ") + " run no " + r.Language + " script of user space, and contained processes do not run them"
}

func (r Cache) key() string { return "cache:" + r.Path }
func (r Cache) opens() bool { return true }
func (r Cache) says() string {
	s := names(r.To) + " may open its own compiled code in " + r.Path
	if r.Libraries {
		s += ", libraries too"
	}
	return s
}

func (r Updater) key() string { return "updater:" + r.bare() }
func (r Updater) opens() bool { return true }
func (r Updater) says() string {
	s := r.Who.String() + " may change system space"
	if len(r.Scratch) > 0 {
		s += " and launch what it put into " + strings.Join(r.Scratch, ", ")
	}
	return s
}

func (r Starter) key() string  { return "starter:" + r.bare() }
func (r Starter) opens() bool  { return true }
func (r Starter) says() string { return r.Who.String() + " may start updaters" }

func (r Builder) key() string { return "builder:" + r.bare() }
func (r Builder) opens() bool { return true }
func (r Builder) says() string {
	s := r.Who.String() + " may launch what it built itself"
	if len(r.Output) > 0 {
		s += " in " + strings.Join(r.Output, ", ")
	}
	return s
}

func (r Trusted) key() string { return "trusted:" + r.File }
func (r Trusted) opens() bool { return true }
func (r Trusted) says() string {
	return names(r.To) + " may launch " + r.File + " while its SHA-256 starts with " + r.SHA256[:min(12, len(r.SHA256))]
}

func (r Utility) key() string { return "utility:" + r.Category }
func (r Utility) opens() bool { return false }
func (r Utility) says() string {
	return "contained processes do not run " + r.Category + ": " + strings.Join(r.Names, " ")
}

func (r UtilityAllowance) key() string { return "" }
func (r UtilityAllowance) opens() bool { return true }
func (r UtilityAllowance) says() string {
	return names(r.To) + " may run " + strings.Join(append(append([]string{}, r.Categories...), r.Names...), ", ")
}

func (r KernelSurface) key() string { return "kernel:" + string(r.Surface) }
func (r KernelSurface) opens() bool { return false }
func (r KernelSurface) says() string {
	return "contained processes do not use " + string(r.Surface)
}

func (r KernelAllowance) key() string { return "" }
func (r KernelAllowance) opens() bool { return true }
func (r KernelAllowance) says() string {
	return names(r.To) + " may use " + strings.Join(texts(r.Surfaces), ", ")
}

func (r Deputy) key() string { return "deputy:" + r.Name }
func (r Deputy) opens() bool { return false }
func (r Deputy) says() string {
	where := append(append([]string{}, r.Sockets...), r.Abstract...)
	for _, p := range r.Ports {
		where = append(where, "port "+strconv.Itoa(p))
	}
	return "contained processes do not talk to " + r.Name + " (" + strings.Join(where, ", ") + ")"
}

func (r DeputyAllowance) key() string { return "" }
func (r DeputyAllowance) opens() bool { return true }
func (r DeputyAllowance) says() string {
	return names(r.To) + " may talk to " + strings.Join(r.Names, ", ")
}

func (r WX) key() string  { return "wx:" + r.bare() }
func (r WX) opens() bool  { return false }
func (r WX) says() string { return r.Who.String() + " has no memory that is writable and executable" }

func (r TokenKey) key() string { return "key:" + r.Name }
func (r TokenKey) opens() bool { return true }
func (r TokenKey) says() string {
	return "tokens signed with " + r.Name + " (" + r.Key + ") relax the guard"
}

func (r Grant) key() string { return "" }
func (r Grant) opens() bool { return true }
func (r Grant) says() string {
	var what []string
	add := func(verb string, list []string) {
		if len(list) > 0 {
			what = append(what, verb+" "+strings.Join(list, ", "))
		}
	}
	add("launch", r.Launch)
	add("change", r.Write)
	add("read", r.Read)
	add("run", r.Utilities)
	add("use", texts(r.Surfaces))
	if r.Process {
		what = append(what, "trace processes")
	}
	return fmt.Sprintf("%s may %s until %s", r.To, strings.Join(what, "; "), r.Expires.UTC().Format("2006-01-02 15:04 UTC"))
}
