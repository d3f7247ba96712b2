// Package compare holds inventory/rpm against others who read the same databases:
// go-rpmdb and SQLite itself. It is tests only, and stands apart so that what it
// links (a whole database engine) does not slow the fuzzing of inventory/rpm.
package compare
