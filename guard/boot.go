package guard

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is when the kernel's boot clock was zero, by the wall clock of now.
func bootTime() (time.Time, error) {
	var boot, wall unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return time.Time{}, fmt.Errorf("guard: boot clock: %w", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return time.Time{}, fmt.Errorf("guard: wall clock: %w", err)
	}
	return time.Unix(0, wall.Nano()-boot.Nano()).UTC(), nil
}
