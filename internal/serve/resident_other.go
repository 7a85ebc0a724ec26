//go:build !linux

package serve

func resident() int64 { return 0 }
