//go:build !linux

package scanner

import "errors"

// openKeys: input devices are Linux's.
func openKeys(string) (keyDevice, error) { return nil, errors.ErrUnsupported }
