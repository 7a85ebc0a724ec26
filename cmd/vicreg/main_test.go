package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vicreg": main})
}

// TestScripts drives the real main; see the commands below for what the
// scripts may use besides testscript's own.
func TestScripts(t *testing.T) {
	t.Parallel()
	golden, err := filepath.Abs("../../internal/loss/testdata/vicreg")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOLDEN", golden)
			env.Setenv("FOREIGN", filepath.Join(filepath.Dir(golden), "../../foreign/testdata"))
			env.Setenv("RIVALS", filepath.Dir(golden))
			env.Setenv("TINY", strings.Join(tiny, " "))
			for _, name := range cacheVars { // a script's lists are its own
				env.Setenv(name, filepath.Join(env.WorkDir, ".cache"))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fails":    cmdFails,
			"images":   cmdImages,
			"broken":   cmdBroken,
			"bomb":     cmdBomb,
			"cut":      cmdCut,
			"flip":     cmdFlip,
			"await":    cmdAwait,
			"bands":    cmdBands,
			"json":     cmdJSON,
			"pairs":    cmdPairs,
			"poke":     cmdPoke,
			"same":     cmdSame,
			"shard":    cmdShard,
			"table":    cmdTable,
			"pretrain": cmdPretrain,
			"stopped":  func(ts *testscript.TestScript, neg bool, args []string) { interrupt(ts, args) },
		},
		RequireExplicitExec: true,
	})
}

// tiny are the flags of a run that takes a second.
var tiny = []string{"--width", "2", "--size", "12", "--expander", "8-8", "--batch", "8", "--epochs", "2", "--warmup", "0"}

// tinyFor leaves out of tiny what has no effect on pairs without images, or without
// residual networks.
func tinyFor(args []string) []string {
	sided := func(types ...string) bool {
		return slices.ContainsFunc(args, func(arg string) bool {
			side, _, is := strings.Cut(arg, "=")
			return is && slices.Contains(types, side)
		})
	}
	switch {
	case !slices.Contains(args, "--pairs") || sided("image"):
		return tiny
	case sided("waveform", "series", "spectrogram"):
		return slices.Delete(slices.Clone(tiny), 2, 4)
	}
	return tiny[4:]
}

// cmdPretrain is "exec vicreg pretrain" of a tiny run with further flags. With
// --interrupt last, the run gets SIGINT once it has done a few steps, and must
// exit with 130.
func cmdPretrain(ts *testscript.TestScript, neg bool, args []string) {
	args = slices.Concat([]string{"pretrain"}, tinyFor(args), args)
	if last := len(args) - 1; args[last] == "--interrupt" {
		interrupt(ts, args[:last])
		return
	}
	err := ts.Exec("vicreg", args...)
	var exit *exec.ExitError
	switch {
	case !neg && err != nil:
		ts.Fatalf("pretrain: %v", err)
	case neg && !(errors.As(err, &exit) && exit.ExitCode() == exitFailure):
		ts.Fatalf("pretrain: want exit code %d, got %v", exitFailure, err)
	}
}

// cacheVars name the folder of what programs keep.
var cacheVars = []string{"XDG_CACHE_HOME", "LocalAppData"}

func interrupt(ts *testscript.TestScript, args []string) {
	path, err := exec.LookPath("vicreg")
	ts.Check(err)
	cmd := exec.Command(path, append(args, "--json")...)
	cmd.Dir, cmd.Stderr = ts.MkAbs("."), ts.Stderr()
	cmd.Env = os.Environ()
	for _, name := range cacheVars {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	steps := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if steps++; steps == 7 {
			ts.Check(cmd.Process.Signal(os.Interrupt))
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitStopped {
		ts.Fatalf("want exit code %d after SIGINT, got %v", exitStopped, err)
	}
}

// cmdFails runs a command that must end with the given exit code and one line
// on standard error: fails CODE PROGRAM ARGS...
func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		ts.Fatalf("want exit code %d, got %v", code, err)
	}
	message := ts.ReadFile("stderr")
	if strings.Count(message, "\n") != 1 || !strings.HasSuffix(message, "\n") {
		ts.Fatalf("want one line on standard error, got %q", message)
	}
	for _, jargon := range []string{"goroutine", "panic", "nil pointer", "Usage:", "strconv", " 0x"} {
		if strings.Contains(message, jargon) {
			ts.Fatalf("the message holds %q", jargon)
		}
	}
}

// cmdImages writes images of mixed sizes and formats: images DIR COUNT. The
// names sort in order, and equal directories get equal pictures.
func cmdImages(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(writeImages(ts.MkAbs(args[0]), count))
}

func writeImages(dir string, count int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(filepath.Base(dir)))), 0))
	tint := [3]int{rng.IntN(200), rng.IntN(200), rng.IntN(200)}
	for i := range count {
		w, h := 14+rng.IntN(30), 14+rng.IntN(30)
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		cx, cy := rng.IntN(w), rng.IntN(h)
		for y := range h {
			for x := range w {
				d := (x-cx)*(x-cx) + (y-cy)*(y-cy)
				img.SetRGBA(x, y, color.RGBA{uint8(tint[0] + rng.IntN(56)), uint8(tint[1] + d%50),
					uint8(tint[2] + rng.IntN(30)), 255})
			}
		}
		var b bytes.Buffer
		name, err := fmt.Sprintf("img%03d.jpg", i), error(nil)
		if i%3 == 2 {
			name, err = fmt.Sprintf("img%03d.png", i), png.Encode(&b, img)
		} else {
			err = jpeg.Encode(&b, img, nil)
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cmdBroken adds JPEG files that are empty, cut short or no pictures at all:
// broken DIR COUNT.
func cmdBroken(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(writeBroken(ts.MkAbs(args[0]), count))
}

func writeBroken(dir string, count int) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 40)), nil); err != nil {
		return err
	}
	for i := range count {
		content := [][]byte{nil, b.Bytes()[:b.Len()/3], []byte("this is no picture")}[i%3]
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("broken%d.jpg", i)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cmdBomb writes a small PNG that claims 60000 × 60000 pixels: bomb FILE.
func cmdBomb(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	ts.Check(png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))))
	raw := b.Bytes()
	header := raw[12:29] // "IHDR", then width and height
	copy(header[4:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	sum := crc32.ChecksumIEEE(header)
	copy(raw[29:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o644))
}

// cmdCut keeps the first percent of a file: cut FILE PERCENT.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	percent, err := strconv.Atoi(args[1])
	ts.Check(err)
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()*int64(percent)/100))
}

// cmdFlip flips a bit of a byte of a file, counted from its end if it is
// negative: flip FILE BYTE.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	raw, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(raw)
	}
	raw[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o644))
}

// cmdAwait waits until a file holds a text: await FILE TEXT.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(args[1])) {
			return
		}
	}
	ts.Fatalf("%s never held %q", args[0], args[1])
}

// cmdJSON checks a file of one or more JSON objects: json FILE KEY... The
// last object must have all the keys.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(bufio.NewReader(strings.NewReader(ts.ReadFile(args[0]))))
	var last map[string]any
	for d.More() {
		last = nil
		ts.Check(d.Decode(&last))
	}
	for _, key := range args[1:] {
		if _, ok := last[key]; !ok {
			ts.Fatalf("%s: no key %q in %v", args[0], key, last)
		}
	}
}

// cmdSame checks that two files hold the same bytes, or with ! that they do
// not: same FILE FILE.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	a, b := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	if a == b == neg {
		at := 0
		for at < min(len(a), len(b)) && a[at] == b[at] {
			at++
		}
		ts.Fatalf("%s (%d bytes) and %s (%d bytes): same is %v; equal up to byte %d", args[0], len(a), args[1], len(b), a == b, at)
	}
}
