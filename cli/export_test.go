package cli

import (
	"github.com/spf13/cobra"
)

// Command is what tests want to know of one command.
type Command struct {
	Path  []string // without the program's name
	Leaf  bool     // does something itself
	JSON  bool     // prints JSON when asked
	Short string
}

// Commands lists every command that help shows, the program itself first.
func Commands(env Env) []Command {
	a := newApp(env)
	var list []Command
	var walk func(*cobra.Command, []string)
	walk = func(cmd *cobra.Command, path []string) {
		list = append(list, Command{Path: path, Leaf: !cmd.HasSubCommands(), Short: cmd.Short,
			JSON: cmd.Flags().Lookup("json") != nil || cmd.Flags().Lookup("format") != nil})
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	walk(a.root(), nil)
	return list
}
