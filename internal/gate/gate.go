// Package gate decides who may ask an HTTP server: this machine alone, or whoever carries
// a token.
package gate

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"strings"
)

// Loopback reports whether an address is of this machine alone.
func Loopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// Local reports whether the host that a request names is this machine. A name that leads
// here from elsewhere would let any page ask.
func Local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Same compares a token with the one that is wanted, in a time that tells nothing of either.
func Same(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want)) // of the same length
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
