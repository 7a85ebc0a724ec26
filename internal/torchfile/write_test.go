package torchfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vicreg/internal/durable"
)

func sample() []Tensor {
	big := make([]float32, 40_000)
	for i := range big {
		big[i] = float32(math.Sin(float64(i)))
	}
	return []Tensor{
		{"conv1.weight", []int{2, 1, 2, 1}, []float32{1, -2.5, 3e-40, float32(math.Inf(1))}},
		{"bn1.num_batches_tracked", nil, []int64{1<<40 + 1}},
		{"größe \"x\"\n", []int{0, 3}, []float32{}},
		{"big", []int{200, 200}, big},
		{"counts", []int{3}, []int64{-1, 0, 1}},
	}
}

func TestWrittenAndReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pth")
	if err := Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, want := range sample() {
		got := f.Tensors()[i]
		kind := "float32"
		data, ok := want.Data.([]float32)
		if !ok {
			kind = "int64"
			for _, v := range want.Data.([]int64) {
				data = append(data, float32(v))
			}
		}
		if got.Name != want.Name || !slices.Equal(got.Shape, want.Shape) || got.Type != kind {
			t.Errorf("%+v, want %q %v", got, want.Name, want.Shape)
		}
		if v, err := f.Float32(got.Name); err != nil || !slices.Equal(v, data) {
			t.Errorf("%q: %v", got.Name, err)
		}
	}
	if len(f.Notes())+len(f.Scalars()) != 0 {
		t.Error(f.Notes(), f.Scalars())
	}
}

// As in PyTorch's own files every entry is plain and at a multiple of 64 bytes, and the
// same tensors give the same bytes.
func TestLayout(t *testing.T) {
	var one, two bytes.Buffer
	if err := errors.Join(write(&one, sample()), write(&two, sample())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two files of the same tensors differ")
	}
	z, err := zip.NewReader(bytes.NewReader(one.Bytes()), int64(one.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range z.File {
		names = append(names, e.Name)
		if at, err := e.DataOffset(); err != nil || at%64 != 0 || e.Method != zip.Store {
			t.Errorf("%s is at %d, method %d, %v", e.Name, at, e.Method, err)
		}
	}
	if got := strings.Join(names, " "); got != "archive/data.pkl archive/byteorder archive/data/0 archive/data/1 archive/data/2 archive/data/3 archive/data/4 archive/version" {
		t.Error(got)
	}
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pth")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, tensors := range map[string][]Tensor{
		`tensor "a" has 2 elements, which do not fill shape [3]`: {{"a", []int{3}, []float32{1, 2}}},
		`tensor "a" has shape [-1]`:                              {{"a", []int{-1}, []float32{}}},
		`tensor "a" holds []int32, which cannot be written`:      {{"a", []int{1}, []int32{1}}},
		`two tensors have the name "a"`:                          {{"a", nil, []float32{1}}, {"a", nil, []float32{1}}},
	} {
		err := Write(path, tensors)
		if err == nil || err.Error() != "cannot write "+path+": "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for n := range 8 { // a disk that is full at any operation
		restore := durable.Inject(func(op, _ string) error {
			if n--; n < 0 && op != "remove" {
				return syscall.ENOSPC
			}
			return nil
		})
		err := Write(path, sample())
		restore()
		if b, _ := os.ReadFile(path); err != nil && string(b) != "old" && !strings.HasPrefix(string(b), "PK") {
			t.Errorf("after %v the file is %.20q", err, b)
		}
	}
}

// python is the interpreter of Debian's PyTorch.
func python(t *testing.T) string {
	const path = "/usr/bin/python3"
	const has = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('torch'))"
	if err := exec.Command(path, "-c", has).Run(); err != nil {
		t.Skipf("%s has no PyTorch: %v", path, err)
	}
	return path
}

// torch.load reads what was written, with weights_only too.
func TestPyTorchReadsWhatIsWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts Python")
	}
	path := filepath.Join(t.TempDir(), "x.pth")
	if err := Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	const script = `
import sys, torch
for only in False, True:
    d = torch.load(sys.argv[1], weights_only=only)
    print(type(d).__name__)
    for k, v in d.items():
        print(repr(k), v.dtype, list(v.shape), v.requires_grad, v.double().nan_to_num(posinf=7.0).sum().item())
`
	out, err := exec.Command(python(t), "-W", "ignore", "-c", script, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want strings.Builder
	for range 2 {
		want.WriteString("OrderedDict\n")
		for _, x := range sample() {
			kind, sum := "float32", 0.0
			switch v := x.Data.(type) {
			case []float32:
				for _, e := range v {
					sum += min(float64(e), 7)
				}
			case []int64:
				kind = "int64"
				for _, e := range v {
					sum += float64(e)
				}
			}
			shape := strings.ReplaceAll(fmt.Sprint(x.Shape), " ", ", ")
			name := "'" + strings.ReplaceAll(x.Name, "\n", `\n`) + "'"
			fmt.Fprintf(&want, "%s torch.%s %s False %.6g\n", name, kind, shape, sum)
		}
	}
	if got := rounded(string(out)); got != want.String() {
		t.Errorf("PyTorch reads\n%s\nwant\n%s", got, want.String())
	}
}

// rounded shortens the number at the end of each line.
func rounded(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		i := strings.LastIndexByte(line, ' ')
		var v float64
		if _, err := fmt.Sscan(line[i+1:], &v); i < 0 || err != nil {
			out.WriteString(line)
			continue
		}
		fmt.Fprintf(&out, "%s%.6g\n", line[:i+1], v)
	}
	return out.String()
}
