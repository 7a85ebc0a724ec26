package torchfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/safetensors"
)

// What PyTorch reads of the files of testdata/make.py is what is read here, in the same order.
func TestReadsWhatPyTorchReads(t *testing.T) {
	type tensor struct {
		Shape []int
		Type  string
		Bits  []uint32
	}
	var expected map[string]map[string]tensor
	if err := json.Unmarshal(fixture(t, "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected) != 9 {
		t.Fatalf("%d files are expected", len(expected))
	}
	for file, tensors := range expected {
		t.Run(file, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got := f.Tensors(); len(got) != len(tensors) {
				t.Errorf("%d tensors, want %d", len(got), len(tensors))
			}
			for _, info := range f.Tensors() {
				want, ok := tensors[info.Name]
				if !ok || !slices.Equal(info.Shape, want.Shape) || info.Type != want.Type {
					t.Errorf("%+v, want %v of %s", info, want.Shape, want.Type)
				}
				got, err := f.Float32(info.Name)
				if err != nil || len(got) != len(want.Bits) {
					t.Errorf("%s: %d values, want %d, %v", info.Name, len(got), len(want.Bits), err)
					continue
				}
				for i, v := range got {
					if math.Float32bits(v) != want.Bits[i] {
						t.Errorf("%s: element %d is %v, want %v", info.Name, i, v, math.Float32frombits(want.Bits[i]))
						break
					}
				}
			}
		})
	}
}

// What stands beside the tensors is told as text, or said to be passed over.
func TestBesideTheTensors(t *testing.T) {
	for _, file := range []string{"nested.pth", "nested_legacy.pth", "protocol4.pth"} {
		f, err := Open(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		got := f.Scalars()
		for name, want := range map[string]string{"epoch": "3", "arch": "resnet50", "best": "71.25", "done": "true",
			"list.1.deep.1": "", "args.arch": "vit_small", "args.patch": "16", "args.wd": "0.04",
			"optimizer.param_groups.0.lr": "0.5", "nothing": "", "big": "", "long text": "", "bytes": ""} {
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q", file, name, got[name], want)
			}
		}
		notes := strings.Join(f.Notes(), "\n")
		want := "objects that are no weights were passed over: 1 numpy.ndarray\n" +
			"names of classes and functions were passed over: 1 torch.nn.modules.activation.GELU"
		if notes != want {
			t.Errorf("%s: the notes are\n%s\nwant\n%s", file, notes, want)
		}
		if first := f.Tensors()[0].Name; first != "state_dict.module.0.weight" {
			t.Errorf("%s: the first tensor is %q", file, first)
		}
	}
}

// Tensors that cannot be read are listed, and say why and what to do.
func TestUnreadableTensors(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "unreadable.pth"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, c := range map[string]struct{ shape, kind, says string }{
		"q":       {"[2]", "quantized", "dequantize()"},
		"sparse":  {"[2 2]", "sparse", "to_dense()"},
		"csr":     {"[2 2]", "sparse", "to_dense()"},
		"meta":    {"[2 3]", "meta", "keeps shapes and no data"},
		"complex": {"[2]", "complex64", "is of type complex64, which is not read"},
	} {
		at := slices.IndexFunc(f.Tensors(), func(i Info) bool { return i.Name == name })
		if at < 0 {
			t.Errorf("%s is not listed", name)
			continue
		}
		if i := f.Tensors()[at]; i.Type != c.kind || fmt.Sprint(i.Shape) != c.shape {
			t.Errorf("%s is %v", name, i)
		}
		if _, err := f.Float32(name); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if v, err := f.Float32("fine"); err != nil || !slices.Equal(v, []float32{1, 1}) {
		t.Errorf("fine is %v, %v", v, err)
	}
	if _, err := f.Float32("nowhere"); err == nil || !strings.Contains(err.Error(), "has no tensor nowhere") {
		t.Error(err)
	}
}

// Old and rare forms of the same values.
func TestForms(t *testing.T) {
	const data = "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40" // 1, 2, 3, 4
	old := func(s string) string { return "U" + string(rune(len(s))) + s }
	store := stored("FloatStorage", 4)
	for what, c := range map[string]struct {
		pickle string
		want   map[string][]float32
	}{
		"texts of Python 2": {"\x80\x02}" + old("w") + viewed(tupled(old("storage"), naming("torch.FloatStorage"), old("0"),
			old("cpu"), "K\x04")+"Q", 1, tupled("K\x02"), tupled("K\x02")) + "s.", map[string][]float32{"w": {2, 4}}},
		"before 0.4": {mapped(text("w"), called("torch._utils._rebuild_tensor", store, "K\x00", "(K\x04l", "(K\x01l")),
			map[string][]float32{"w": {1, 2, 3, 4}}},
		"filled later": {mapped(text("w"), naming("torch.FloatTensor")+")\x81"+tupled(store, "K\x01", tupled("K\x02"), tupled("K\x01"))+"b"),
			map[string][]float32{"w": {2, 3}}},
		"parameters": {mapped(text("a"), called("torch.nn.parameter.Parameter", vector(4), "\x88"),
			text("b"), called("torch._utils._rebuild_parameter_with_state", vector(4), "\x88", "N", "}")),
			map[string][]float32{"a": {1, 2, 3, 4}, "b": {1, 2, 3, 4}}},
		"types of their own": {mapped(text("w"), called("torch._tensor._rebuild_from_type_v2", naming("torch._utils._rebuild_tensor_v2"),
			naming("torch.nn.parameter.Buffer"), tupled(store, "K\x00", wholes(4), wholes(1), "\x89", "N"), "}")),
			map[string][]float32{"w": {1, 2, 3, 4}}},
		"bare storages": {mapped(text("w"), called("torch._utils._rebuild_tensor_v3", stored("UntypedStorage", 16), "K\x01",
			wholes(3), wholes(1), "\x89", "N", naming("torch.float32"))), map[string][]float32{"w": {2, 3, 4}}},
		"lists of pairs": {"\x80\x02" + called("collections.OrderedDict", "](("+text("w")+vector(4)+"le") + ".",
			map[string][]float32{"w": {1, 2, 3, 4}}},
		"protocol 0":         {"(dp0\nS'a\\'b'\np1\n" + vector(4) + "sV\\u00e9\ng1\nsI01\nI7\ns.", map[string][]float32{"a'b": {1, 2, 3, 4}}},
		"twice the same key": {mapped(text("w"), "K\x01", text("w"), vector(4)), map[string][]float32{"w": {1, 2, 3, 4}}},
		"itself":             {"\x80\x02}q\x00(" + text("me") + "h\x00" + text("w") + vector(4) + "u.", map[string][]float32{"w": {1, 2, 3, 4}}},
		"configurations": {mapped(text("w"), vector(4), text("hyper"), naming("omegaconf.dictconfig.DictConfig")+")\x81}"+text("x")+"K\x01sb"),
			map[string][]float32{"w": {1, 2, 3, 4}}},
		"of other devices": {mapped(text("a"), viewed(stored("cuda.FloatStorage", 4), 0, wholes(4), wholes(1)),
			text("b"), called("torch._utils._rebuild_device_tensor_from_cpu_tensor", vector(4), naming("torch.float32"), text("mps"), "\x89")),
			map[string][]float32{"a": {1, 2, 3, 4}, "b": {1, 2, 3, 4}}},
		"keys that are classes": {mapped(naming("pytorch_lightning.callbacks.ModelCheckpoint"), "}"+text("best")+vector(4)+"s"),
			map[string][]float32{"pytorch_lightning.callbacks.ModelCheckpoint.best": {1, 2, 3, 4}}},
		"inside classes": {mapped(text("w"), vector(4), text("x"), called("builtins.getattr", naming("mmengine.HistoryBuffer"), text("mean")),
			text("y"), called("_operator.getitem", naming("typing.Dict"), tupled(naming("builtins.str"), naming("builtins.int")))),
			map[string][]float32{"w": {1, 2, 3, 4}}},
		"of no elements": {mapped(text("w"), viewed(store, 4, wholes(0, 3), wholes(1<<40, 1<<40))), map[string][]float32{"w": {}}},
	} {
		t.Run(what, func(t *testing.T) {
			for form, b := range map[string][]byte{"zip": saved(t, c.pickle, data), "legacy": legacy(c.pickle, 4, data)} {
				if what == "bare storages" && form == "legacy" {
					continue // there they count in bytes
				}
				f, err := open(b)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				got := map[string][]float32{}
				for _, i := range f.Tensors() {
					if got[i.Name], err = f.Float32(i.Name); err != nil {
						t.Error(err)
					}
				}
				if !maps.EqualFunc(got, c.want, slices.Equal) {
					t.Errorf("%s: %v, want %v", form, got, c.want)
				}
			}
		})
	}
}

// Parts of storages are those of PyTorch's first versions.
func TestParts(t *testing.T) {
	part := func(offset, count int64) []byte {
		store := stored("ByteStorage", 4, tupled(text("view"), whole(offset), whole(count)))
		return legacy(mapped(text("w"), viewed(store, 1, wholes(2), wholes(1))), 4, "\x01\x02\x03\x04")
	}
	f, err := open(part(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f.Float32("w"); err != nil || !slices.Equal(v, []float32{3, 4}) {
		t.Error(v, err)
	}
	for _, b := range [][]byte{part(1, 4), part(1, 2), part(-1, 3), part(5, 0)} {
		if _, err := open(b); err == nil {
			t.Error("a part beyond its storage was taken")
		}
	}
}

// Two tensors of one name are not told apart by chance.
func TestAmbiguousNames(t *testing.T) {
	f, err := open(saved(t, mapped(text("a.b"), vector(1), text("a"), "}"+text("b")+vector(1)+"s"), "1234"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors()) != 1 || !slices.Equal(f.Notes(), []string{"1 name that several tensors have in common cannot be read"}) {
		t.Error(f.Tensors(), f.Notes())
	}
	if _, err := f.Float32("a.b"); err == nil || !strings.Contains(err.Error(), "cannot be told from another") {
		t.Error(err)
	}
}

func TestHalf(t *testing.T) {
	for h, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24),
		0x0400: math.Ldexp(1, -14), 0x7c00: math.Inf(1)} {
		check.Scalar(t, "half", math.Min(float64(safetensors.Half(h)), 1e9), math.Min(want, 1e9), 0)
	}
}
