//go:build !unix

package services

import "errors"

// stat has nothing to offer where there is no /proc either.
func stat(string) (fileID, error) { return fileID{}, errors.ErrUnsupported }
