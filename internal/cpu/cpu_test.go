package cpu

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A variant that silently goes missing would leave its kernels untested.
func TestVariantsMatchProcessor(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("no /proc/cpuinfo to compare with")
	}
	flags := map[string]bool{}
	for line := range strings.Lines(string(info)) {
		if name, list, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			for _, f := range strings.Fields(list) {
				flags[f] = true
			}
		}
	}
	if len(flags) == 0 {
		t.Skip("/proc/cpuinfo lists no x86 flags")
	}
	if flags["avx512f"] && !slices.Contains(Variants(), "avx512") {
		t.Error("the processor has avx512f, but variant avx512 is not usable")
	}
	if flags["avx2"] && flags["fma"] && !slices.Contains(Variants(), "avx2") {
		t.Error("the processor has avx2 and fma, but variant avx2 is not usable")
	}
	if flags["avx512_bf16"] != hasAVX512BF16 {
		t.Errorf("avx512_bf16 in /proc/cpuinfo: %v, here: %v", flags["avx512_bf16"], hasAVX512BF16)
	}
	tiles := flags["amx_bf16"] && flags["amx_tile"] && flags["avx512_bf16"]
	if tiles && Withheld() == nil && !slices.Contains(Variants(), "amx") {
		t.Error("the processor has amx_bf16, but variant amx is not usable")
	}
	if !tiles && (Withheld() != nil || slices.Contains(Variants(), "amx")) {
		t.Errorf("the processor has no amx_bf16, but the variants are %v, %v", Variants(), Withheld())
	}
	if !slices.Contains(Variants(), "plain") {
		t.Error("variant plain is always usable")
	}
}

func TestSet(t *testing.T) {
	start := Variant()
	for _, v := range Variants() {
		restore, err := Set(v)
		if err != nil {
			t.Fatal(err)
		}
		if Variant() != v || AVX512 != (v == "avx512" || v == "amx") || AVX2 != (v != "plain") || AVX512BF16 && !AVX512 ||
			AMX != (v == "amx") || AMX && !AVX512BF16 {
			t.Errorf("Set(%q): variant %q, AVX2 %v, AVX512 %v, AVX512BF16 %v, AMX %v", v, Variant(), AVX2, AVX512,
				AVX512BF16, AMX)
		}
		restore()
		if Variant() != start {
			t.Errorf("restore after %q left %q, want %q", v, Variant(), start)
		}
	}
	if _, err := Set("neon"); err == nil || !strings.Contains(err.Error(), `"neon"`) {
		t.Errorf("Set(neon): %v", err)
	}
	if Variant() != start {
		t.Errorf("a failed Set changed the variant to %q", Variant())
	}
}

// The environment is read at start, so the test runs itself again.
func TestEnvironment(t *testing.T) {
	if os.Getenv("CPU_TEST_CHILD") != "" {
		msg := "none"
		if EnvError() != nil {
			msg = EnvError().Error()
		}
		os.Stdout.WriteString("variant=" + Variant() + " error=" + msg + "\n")
		return
	}
	best := Variants()[0]
	cases := map[string]string{
		"":      "variant=" + best + " error=none",
		"plain": "variant=plain error=none",
		"sse9":  "variant=" + best + ` error=VICREG_CPU: no processor variant is called "sse9"`,
	}
	for _, v := range []string{"avx2", "avx512", "amx"} {
		if slices.Contains(Variants(), v) {
			cases[v] = "variant=" + v + " error=none"
		} else if v == "amx" && Withheld() != nil {
			cases[v] = "variant=" + best + ` error=VICREG_CPU: variant "amx" cannot be used: ` + Withheld().Error()
		} else {
			cases[v] = "variant=" + best + ` error=VICREG_CPU: this processor cannot run variant "` + v + `"`
		}
	}
	for value, want := range cases {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironment$")
		cmd.Env = append(os.Environ(), "CPU_TEST_CHILD=1", "VICREG_CPU="+value)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("VICREG_CPU=%q: %v, got %q, want %q", value, err, out, want)
		}
	}
}

// The two makers' processors lie far from the limit, on either side of it.
func TestFastPairs(t *testing.T) {
	if !hasAVX512BF16 {
		if FastPairs() {
			t.Error("products of pairs are fast where there are none")
		}
		t.Skip("this processor has no AVX512_BF16")
	}
	rate := pairsRate()
	t.Logf("products of pairs run at %.2f of float32's rate", rate)
	if FastPairs() != (rate > 1) {
		t.Errorf("fast: %v, at a rate of %.2f", FastPairs(), rate)
	}
	if rate > 0.8 && rate < 1.25 {
		t.Errorf("a rate of %.2f is so near the limit that another start may decide otherwise", rate)
	}
}
