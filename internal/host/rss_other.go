//go:build !unix

package host

func maxRSS() float64 { return 0 }
