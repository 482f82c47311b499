//go:build !linux && !windows && !darwin

package awake

import "errors"

func hold(string) (drop func(), err error) { return nil, errors.ErrUnsupported }
