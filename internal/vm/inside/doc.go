// Package inside holds tests that run within a test machine: what guest tests may
// count on there. It has no code; internal/vm runs it on every kernel of the matrix.
package inside
