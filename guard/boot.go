package guard

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// bootNow is the kernel's boot clock: time since the host has started, sleep included.
func bootNow() (time.Duration, error) {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0, fmt.Errorf("guard: boot clock: %w", err)
	}
	return time.Duration(boot.Nano()), nil
}

// bootTime is when the kernel's boot clock was zero, by the wall clock of now.
func bootTime() (time.Time, error) {
	var wall unix.Timespec
	boot, err := bootNow()
	if err != nil {
		return time.Time{}, err
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return time.Time{}, fmt.Errorf("guard: wall clock: %w", err)
	}
	return time.Unix(0, wall.Nano()-int64(boot)).UTC(), nil
}

// untilEnd is how long it is from now until a moment of the wall clock; 0 for none or
// past. The kernel's clock does not follow when somebody sets the wall clock, which is
// why it is the one that ends exceptions.
func untilEnd(end, now time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return max(0, end.Sub(now))
}
