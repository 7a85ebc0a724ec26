//go:build unix && !linux

package far

func large([]byte) {}
