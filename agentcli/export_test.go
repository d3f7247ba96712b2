package agentcli

import (
	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
)

// Command is what tests want to know of one command.
type Command struct {
	Path []string // without the program's name
	Leaf bool     // does something itself
	JSON bool     // prints JSON when asked
}

// Commands lists every command that help shows, the program itself first.
func Commands(env command.Env) []Command {
	var list []Command
	var walk func(*cobra.Command, []string)
	walk = func(cmd *cobra.Command, path []string) {
		list = append(list, Command{Path: path, Leaf: !cmd.HasSubCommands(), JSON: cmd.Flags().Lookup("json") != nil})
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	walk(newApp(env, Program{}).root(), nil)
	return list
}
