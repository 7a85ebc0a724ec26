package host

import (
	"math"
	"testing"
)

func TestMemoryIsGivenByTheEnvironment(t *testing.T) {
	for given, want := range map[string]float64{
		"6GB": 6e9, "6 GiB": 6 << 30, "6g": 6 << 30, "512M": 512 << 20, "1.5tb": 1.5e12, "100": 100, "100 B": 100, "64kB": 64000,
	} {
		t.Setenv(MemoryVariable, given)
		if got := MemoryLimit(); got.Bytes != want || got.Limit != MemoryVariable+" allows" || EnvError() != nil {
			t.Errorf("%q: %v, want %v", given, got, want)
		}
	}
	for _, given := range []string{"lots", "-1", "0", "nan", "6GBit", "inf", "GB", "6 gb gb", "1e300"} {
		t.Setenv(MemoryVariable, given)
		if got := MemoryLimit(); got.Limit == MemoryVariable+" allows" || EnvError() == nil {
			t.Errorf("%q was taken for %v", given, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0 bytes", 999: "999 bytes", 1000: "1 kB", 20_400: "20 kB", 999_400: "999 kB", 999_900: "1.0 MB", 6.44e9: "6.4 GB", 31.2e9: "31 GB",
		999.9e9: "1.0 TB", 4.5e15: "4.5 PB", 5e17: "500 PB", 1e30: "999 EB or more", math.Inf(1): "999 EB or more",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
