package guest

import (
	"fmt"
	"runtime"
	"testing"
)

// fatal is a test that only remembers that it was ended.
type fatal struct {
	testing.TB
	said   string
	passed bool
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
