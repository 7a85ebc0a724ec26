package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"vicreg/internal/check"
	"vicreg/internal/recipe"
)

// FuzzPretrainFlags gives two flags of pretrain any values. What comes out is a
// mistake in the use of the command, in one plain line, or a configuration that can
// be written and read again.
func FuzzPretrainFlags(f *testing.F) {
	var names []string
	cmd, _, _ := pretrainCommand()
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "config" && flag.Name != "resume" && flag.Name != "cpuprofile" {
			names = append(names, flag.Name)
		}
	})
	for i, name := range names {
		value := map[string]string{"int": "16", "float64": "0.5", "uint64": "7", "bool": "true", "intSlice": "4,5", "float64Slice": "0.5,0.25"}[cmd.Flags().Lookup(name).Value.Type()]
		f.Add(uint8(i), value, uint8(i+1), "10-20")
	}
	for i, value := range []string{"8--8", "image=photo", "text=a,b", "moco-v2", "nan", "99999999999999999999", "supervised", "separate", "resnet1d-18", "no", "\x00", "\xff", "512-16"} {
		f.Add(uint8(3*i), value, uint8(5*i), value)
	}
	f.Fuzz(func(t *testing.T, i uint8, a string, j uint8, b string) {
		t.Setenv("VICREG_MEMORY", "4GB")
		cmd, flags, config := pretrainCommand()
		check.Bounded(t, 300, 2*time.Second, func() {
			err := cmd.ParseFlags([]string{"--" + names[int(i)%len(names)] + "=" + a,
				"--" + names[int(j)%len(names)] + "=" + b})
			if err != nil {
				plainLine(t, flagMessage(err), a+b)
				return
			}
			c, err := flags.configuration(config)
			if err != nil {
				plainLine(t, err.Error(), a+b)
				return
			}
			raw, err := c.YAML()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
			again, err := recipe.ReadFile(path)
			if err == nil {
				err = again.Validate()
			}
			if err != nil {
				t.Fatalf("cannot be read again: %v\n%s", err, raw)
			}
			if second, err := again.YAML(); err != nil || !bytes.Equal(raw, second) {
				t.Fatalf("reads back (%v) as\n%s\nnot\n%s", err, second, raw)
			}
		})
	})
}

func plainLine(t *testing.T, message, given string) {
	t.Helper()
	for _, jargon := range []string{"strconv", "parsing", "invalid syntax", "value out of range", "goroutine", "panic", "%!"} {
		if strings.Contains(message, jargon) && !strings.Contains(given, jargon) {
			t.Fatalf("the message holds %q: %s", jargon, message)
		}
	}
}
