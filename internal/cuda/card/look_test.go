//go:build native && linux && (amd64 || arm64)

package card

import (
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/native"
)

// Cards and libraries are told without starting anything, missing ones with how to get them.
func TestLook(t *testing.T) {
	f := faked(t)
	f.card.FakeCard.Call(13000, 2, 9)
	look := func() Found {
		all, err := Look()
		must(t, err)
		if len(all) != 2 || all[1].Index != 1 || all[1].Name != fakeName {
			t.Fatalf("%+v", all)
		}
		return all[1]
	}
	if n := Count(); n != 2 {
		t.Errorf("%d cards are counted", n)
	}
	whole := look()
	if whole.Err != nil || len(whole.Libraries) != 2 ||
		whole.Libraries[0] != "cuDNN 9.14.0 at "+filepath.Join(f.folder, dnnName) ||
		whole.Libraries[1] != "cuBLAS 13.0.2 at "+filepath.Join(f.folder, "libcublasLt.so.13") {
		t.Errorf("%+v", whole)
	}
	folder := without(t, f, dnnName)
	part := look()
	if part.Err == nil || !strings.Contains(part.Err.Error(), "pip install") || part.Libraries[0] != "cuDNN missing" ||
		part.Libraries[1] != "cuBLAS at "+filepath.Join(folder, "libcublasLt.so.13") {
		t.Errorf("%+v", part)
	}
	f.card.FakeCard.Call(13000, 2, 7)
	if old := look(); old.Err == nil || !strings.Contains(old.Err.Error(), "card 1 (Fake card) is too old") {
		t.Errorf("%+v", old)
	}
	f.card.FakeCard.Call(13000, 0, 9)
	if all, err := Look(); err == nil {
		t.Errorf("no card: %+v", all)
	}
	if n := Count(); n != 0 {
		t.Errorf("no card: %d are counted", n)
	}
	t.Setenv(native.Variable, t.TempDir())
	if all, err := Look(); err == nil {
		t.Errorf("no driver: %+v", all)
	}
}
