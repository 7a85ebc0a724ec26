package gate

import (
	"net"
	"testing"
)

func TestLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:80": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]": true, "[::1]:8080": true,
		"": false, "example.com": false, "localhost.example.com:8080": false, "10.0.0.1": false, "127.0.0.1.example.com": false,
	} {
		if Local(host) != want {
			t.Errorf("%q is not %v", host, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "192.0.2.1": false} {
		if Loopback(&net.TCPAddr{IP: net.ParseIP(ip)}) != want {
			t.Errorf("%s is not %v", ip, want)
		}
	}
	if Loopback(&net.UnixAddr{}) {
		t.Error("a socket that is no TCP")
	}
}

func TestSame(t *testing.T) {
	if !Same("a token", "a token") || Same("a token", "a token ") || Same("", "a token") {
		t.Error("tokens are compared wrongly")
	}
}
