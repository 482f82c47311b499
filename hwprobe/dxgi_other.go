//go:build !windows

package hwprobe

import "errors"

func askDXGI() (driverReport, error) { return driverReport{}, errors.New("DXGI is part of Windows") }
