//go:build unix

package pairs

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vicreg/internal/check"
)

// What is no file is refused by its name and never opened.
func TestNoFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, socket, link := filepath.Join(dir, "pipe.csv"), filepath.Join(dir, "socket.csv"), filepath.Join(dir, "link.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "this is a named pipe; a file is needed", socket: "this is a socket", link: "this is a device", "/dev/zero": "this is a device", dir: "this is a folder"} {
		check.Bounded(t, 1, time.Second, func() {
			if _, _, err := Open(path, sides(t, "text=a"), Options{}); err == nil || !strings.Contains(err.Error(), ": cannot read the manifest: "+want) {
				t.Error(err)
			}
		})
		write(t, dir, map[string]string{"m.csv": "f\n" + path + "\n"})
		for _, kind := range []string{"image", "waveform", "series", "embedding"} {
			list := sides(t, kind+"=f")
			d, _, err := Open(filepath.Join(dir, "m.csv"), list, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewSource(d, list, 0).Sample(0, 0); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", kind, err)
			}
			f := new(found)
			if NewSource(d, list, 0).look(0, 0, false, f); f.err == nil || !strings.Contains(f.err.Error(), want) {
				t.Errorf("%s: %v", kind, f.err)
			}
		}
		if strings.HasSuffix(path, ".csv") {
			array := strings.TrimSuffix(path, ".csv") + ".npy"
			os.Rename(path, array)
			if _, _, err := Open(filepath.Join(dir, "m.csv"), sides(t, "embedding="+array), Options{}); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		}
	}
}

// A name that means no file says why it may not.
func TestMeant(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a b/c.csv": "1\n2\n", "m.csv": "f\nx\n"})
	for cell, want := range map[string]string{
		`a b\c.csv`:               `there is no such file, but there is one with / for \: write it so`,
		"a%20b/c.csv":             "there is no such file, but there is one with % and two digits read as a character: write it so",
		"file:///tmp/c.csv":       "there is no such file; give its path, without file:",
		"https://x.org/c.csv":     "there is no such file; this is an address: fetch what is there and give the path of the file",
		"~/c.csv":                 "there is no such file; ~ stands for nothing here: give the whole path",
		`"a b/c.csv`:              "there is no such file; the name holds a quote mark",
		"c.csv":                   "there is no such file",
		"a b/c\x1b[31m.csv":       "there is no such file",
		"a b/" + "c\x00.csv":      "invalid argument",
		strings.Repeat("x", 5000): "which no file has",
	} {
		_, err := readSeries((&Data{dir: dir}).path(cell))
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%.100q: %v", cell, err)
		}
	}
}
