package command

import (
	"io"
	"os"

	"golang.org/x/term"
)

// defaultWidth is the width of pages that go to a file or a pipe.
const defaultWidth = 80

// IsTerminal tells whether a stream is one.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}
