//go:build unix

package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Pipes and devices are never opened.
func TestNoRegularFiles(t *testing.T) {
	root := tree(t, "1.jpg", "2.jpg")
	for _, name := range []string{"pipe.jpg", "pipe.pack", "train-images-idx3-ubyte", "batch.bin"} {
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o666); err != nil {
			t.Skip(err)
		}
		if _, _, err := Open(filepath.Join(root, name), Options{}); err == nil ||
			!strings.Contains(err.Error(), name+": this is a pipe; give a file or a folder") {
			t.Error(err)
		}
	}
	if _, _, err := Open("/dev/null", Options{}); err == nil || !strings.Contains(err.Error(), "/dev/null: this is a device") {
		t.Error(err)
	}
	if _, _, err := Open(root, Options{}); err == nil || !strings.Contains(err.Error(), "train-images-idx3-ubyte: this is a pipe") {
		t.Error(err)
	}
	os.Remove(filepath.Join(root, "train-images-idx3-ubyte"))
	train, _, err := Open(root, Options{})
	if err != nil || len(train.Items) != 2 || !slices.Equal(train.Notes, []string{"3 other files not read: 3 pipe, socket or device"}) {
		t.Error(train, err)
	}
}

// Folders in folders, as deep as a path can be, take no longer than others.
func TestDeepFolders(t *testing.T) {
	root := tree(t)
	t.Chdir(root)
	for range 700 {
		if err := os.Mkdir("d", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chdir("d"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("1.jpg", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(root); err != nil {
		t.Fatal(err)
	}
	check.Bounded(t, 100, 2*time.Second, func() {
		if train, _, err := Open(root, Options{}); err != nil || len(train.Items) != 1 {
			t.Error(err)
		}
	})
}

// A folder that cannot be listed is an error, unless it lies beside train/ and
// test/.
func TestUnreadableFolders(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	root := tree(t, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "private/1.jpg")
	lock := func(name string, mode os.FileMode) {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	lock("private", 0)
	defer lock("private", 0o777)
	train, _, err := Open(root, Options{})
	if err != nil || len(train.Notes) != 2 || !strings.Contains(train.Notes[1], "private/ cannot be listed (permission denied); it lies outside train/ and test/") {
		t.Error(train.Notes, err)
	}
	lock("train/dog", 0)
	defer lock("train/dog", 0o777)
	if _, _, err := Open(root, Options{}); err == nil || !strings.Contains(err.Error(), "train/dog: this folder cannot be listed (permission denied); make it readable or move it away") {
		t.Error(err)
	}
}
