package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sealed(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	err := WriteSealed(&b, []Tensor{{"a", []int{2, 1}, []float32{1, -2}}, {"flag", nil, []bool{true}},
		{"none", []int{0}, []float64{}}},
		map[string]string{"format": "x", "note": `"` + HeaderKey + `":"12345678"`})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// verified opens a file and reads all of it.
func verified(b []byte) error {
	f, err := open(b)
	if err != nil {
		return err
	}
	return f.Verify()
}

func TestSeal(t *testing.T) {
	b := sealed(t)
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(); err != nil || !f.Sealed() || f.Metadata["format"] != "x" {
		t.Errorf("sealed %v, %v, metadata %v", f.Sealed(), err, f.Metadata)
	}
	if v, err := f.Float32("a"); err != nil || v[1] != -2 {
		t.Errorf("a: %v, %v", v, err)
	}
	if !bytes.Equal(b, sealed(t)) {
		t.Error("two writes differ")
	}
	// Written anew without the checksums it is the same file otherwise.
	var plain bytes.Buffer
	bare := maps.Clone(f.Metadata)
	delete(bare, DataKey)
	delete(bare, HeaderKey)
	if err := Write(&plain, []Tensor{{"a", []int{2, 1}, []float32{1, -2}}, {"flag", nil, []bool{true}},
		{"none", []int{0}, []float64{}}}, bare); err != nil {
		t.Fatal(err)
	}
	g, err := open(plain.Bytes())
	if err != nil || g.Sealed() {
		t.Fatalf("sealed %v, %v", g.Sealed(), err)
	}
	if err := g.Verify(); err == nil || !strings.Contains(err.Error(), "x.safetensors carries no checksum") {
		t.Errorf("no checksum: %v", err)
	}
	if !bytes.Equal(plain.Bytes()[g.data:], b[f.data:]) {
		t.Error("the data differ")
	}
	for _, key := range []string{DataKey, HeaderKey} {
		if err := WriteSealed(&bytes.Buffer{}, nil, map[string]string{key: ""}); err == nil {
			t.Errorf("%s was written twice", key)
		}
	}
}

// No byte changes, goes or comes unseen.
func TestSealCoversEveryByte(t *testing.T) {
	good := sealed(t)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if err := verified(b); err == nil || !strings.Contains(err.Error(), "x.safetensors") {
				t.Errorf("byte %d (%q), bit %d: %v", i, good[i], bit, err)
			}
		}
		if err := verified(good[:i]); err == nil {
			t.Errorf("%d bytes of it pass", i)
		}
	}
	if err := verified(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte more passes")
	}
	n := binary.LittleEndian.Uint64(good)
	for part, at := range map[string]int{"header": 20, "data": 8 + int(n) + 1} {
		b := bytes.Clone(good)
		b[at] ^= 1
		d := new(Damaged)
		if err := verified(b); !errors.As(err, &d) || d.Part != part || !strings.HasPrefix(err.Error(), "x.safetensors is damaged: the checksum of its "+part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

// Half a seal, or one moved by another program, is not taken for none.
func TestSealMustBeWhole(t *testing.T) {
	for _, header := range []string{
		`{"__metadata__":{"` + DataKey + `":"00000000"}}`,
		`{"__metadata__":{"` + DataKey + `":"00000000","` + HeaderKey + `": "00000000"}}`,
		`{"__metadata__":{"` + DataKey + `":"00000000","` + HeaderKey + `":""}}`,
		`{"__metadata__":{"` + HeaderKey + `":"00000000"}}`,
		`{"` + HeaderKey + `":"00000000"}`,
	} {
		if f, err := open(raw(header, 0)); err == nil {
			t.Errorf("%s: sealed %v", header, f.Sealed())
		}
	}
}

func TestOpenRefusesPipes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(path); err != nil {
		t.Skip(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for _, open := range []func(string) (*File, error){Open, Read} {
			if _, err := open(path); err == nil || !strings.Contains(err.Error(), "pipe is not a regular file") {
				t.Errorf("a pipe: %v", err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("a pipe is waited for")
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
