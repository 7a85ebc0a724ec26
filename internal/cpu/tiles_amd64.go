//go:build !linux

package cpu

import "errors"

func askForTiles() error { return errors.New("AMX is used on Linux alone") }
