//go:build native && linux && (amd64 || arm64)

package card

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/native"
)

// fake is the libraries of testdata/fake.c, and what tells them to misbehave.
type fake struct {
	folder        string
	cu, blas, dnn failing
	card          struct{ FakeCard, FakeUsed native.Func }
	made          struct{ FakeMade native.Func }
	nccl          failing
	of            struct{ FakeVersion native.Func }
}

type failing struct{ FakeFail native.Func }

// fails has a function fail with a code from its n-th next call on. An empty name ends it.
func (f *failing) fails(name string, code, n int) {
	text := append([]byte(name), 0)
	kept = text
	f.FakeFail.Call(at(&text[0]), uintptr(code), uintptr(n))
}

const fakeName = "Fake card"

var kept []byte // it must not be on a stack

var built = sync.OnceValues(func() (string, error) {
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		if compiler, err = exec.LookPath("clang"); err != nil {
			return "", errors.New("no C compiler")
		}
	}
	folder, err := os.MkdirTemp("", "card")
	if err != nil {
		return "", err
	}
	parts := map[string]string{"libcuda.so.1": "0", "libcublasLt.so.13": "1", dnnName: "2", "libnccl.so.2": "4"}
	for _, name := range dnnParts {
		parts[name] = "3"
	}
	for name, part := range parts {
		out, err := exec.Command(compiler, "-w", "-shared", "-fPIC", "-O1", "-DPART="+part, "testdata/fake.c", "-o",
			filepath.Join(folder, name)).CombinedOutput()
		if err != nil {
			return "", errors.New(string(out))
		}
	}
	return folder, nil
})

// faked has libraries found in a folder of fake ones.
func faked(t *testing.T) *fake {
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		t.Skip("there is a real card")
	}
	folder, err := built()
	if err != nil {
		if err.Error() == "no C compiler" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Setenv(native.Variable, folder)
	f := &fake{folder: folder}
	for name, tables := range map[string][]any{"libcuda.so.1": {&f.cu, &f.card}, "libcublasLt.so.13": {&f.blas},
		dnnName: {&f.dnn, &f.made}, "libnccl.so.2": {&f.nccl, &f.of}} {
		l, err := native.Search{First: []string{folder}}.Open(name)
		must(t, err)
		for _, table := range tables {
			must(t, l.Table(table))
		}
	}
	f.reset()
	t.Cleanup(f.reset)
	return f
}

func (f *fake) reset() {
	for _, part := range []*failing{&f.cu, &f.blas, &f.dnn, &f.nccl} {
		part.fails("", 0, 0)
	}
	f.card.FakeCard.Call(13000, 1, 9)
	f.made.FakeMade.Call(13000)
	f.of.FakeVersion.Call(22703)
}

func TestFake(t *testing.T) {
	f := faked(t)
	d, err := Open(0)
	must(t, err)
	suite(t, d)
	d.Close()
	if n := f.card.FakeUsed.Long(); n != 0 {
		t.Errorf("%d bytes of the card's memory were not given back", n)
	}
}

// What keeps a card from being opened is told in one sentence, with what to do.
func TestOpenFails(t *testing.T) {
	for name, test := range map[string]struct {
		wrong func(t *testing.T, f *fake)
		index int
		says  []string
	}{
		"no driver": {wrong: func(t *testing.T, f *fake) { t.Setenv(native.Variable, t.TempDir()) },
			says: []string{"no NVIDIA driver", "libcuda.so.1 was not found", "nvidia-smi"}},
		"no folder": {wrong: func(t *testing.T, f *fake) { t.Setenv(native.Variable, "/no/such/folder") },
			says: []string{`VICREG_LIB names "/no/such/folder", which is no folder`}},
		"old driver": {wrong: func(_ *testing.T, f *fake) { f.card.FakeCard.Call(11040, 1, 9) },
			says: []string{"driver is too old", "CUDA 11.4", "CUDA 12.0 or newer", "525"}},
		"driver stuck": {wrong: func(_ *testing.T, f *fake) { f.cu.fails("cuInit", 803, 0) },
			says: []string{"does not start", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)"}},
		"no card":     {wrong: func(_ *testing.T, f *fake) { f.cu.fails("cuInit", 100, 0) }, says: []string{"no NVIDIA card"}},
		"second card": {index: 1, says: []string{"there is no card 1", "one, card 0"}},
		"old card": {wrong: func(_ *testing.T, f *fake) { f.card.FakeCard.Call(13000, 1, 7) },
			says: []string{"card 0 (Fake card) is too old", "7.0", "8.0 or higher"}},
		"in use": {wrong: func(_ *testing.T, f *fake) { f.cu.fails("cuDevicePrimaryCtxRetain", 46, 0) },
			says: []string{"card 0 (Fake card) cannot be used", "CUDA_ERROR_DEVICE_UNAVAILABLE"}},
		"no memory": {wrong: func(_ *testing.T, f *fake) { f.cu.fails("cuMemAlloc_v2", 2, 0) },
			says: []string{"too little memory", "nvidia-smi", "CUDA_ERROR_OUT_OF_MEMORY"}},
		"cuDNN fails": {wrong: func(_ *testing.T, f *fake) { f.dnn.fails("cudnnCreate", 5000, 0) },
			says: []string{"cudnnCreate", "CUDNN_STATUS_EXECUTION_FAILED (5000)"}},
		"cuDNN for a newer driver": {wrong: func(_ *testing.T, f *fake) { f.card.FakeCard.Call(12040, 1, 9) },
			says: []string{"cuDNN 9.14.0", "made for CUDA 13", "CUDA 12.4", "nvidia-cudnn-cu12"}},
		"no cuDNN": {wrong: func(t *testing.T, f *fake) { without(t, f, dnnName) },
			says: []string{"cuDNN 9 (libcudnn.so.9) was not found", "pip install nvidia-cudnn-cu13 nvidia-cublas", native.Variable}},
		"half of cuDNN": {wrong: func(t *testing.T, f *fake) { without(t, f, "libcudnn_cnn.so.9") },
			says: []string{"is not whole", "libcudnn_cnn.so.9 is missing"}},
		"no cuBLAS": {wrong: func(t *testing.T, f *fake) { without(t, f, "libcublasLt.so.13") },
			says: []string{"cuBLAS 13 (libcublasLt.so.13) was not found", "pip install", "cuDNN 9.14.0"}},
		"cuBLAS of another CUDA": {wrong: func(_ *testing.T, f *fake) { f.made.FakeMade.Call(12000) },
			says: []string{"cuBLAS 12 (libcublasLt.so.12) was not found, only", "libcublasLt.so.13", "nvidia-cublas-cu12"}},
		"broken cuDNN": {wrong: func(t *testing.T, f *fake) {
			folder := without(t, f, dnnName)
			must(t, os.WriteFile(filepath.Join(folder, dnnName), []byte("no library"), 0o644))
		}, says: []string{"cuDNN 9 cannot be used", "libcudnn.so.9"}},
		"another cuDNN": {wrong: func(t *testing.T, f *fake) {
			folder := without(t, f, dnnName)
			must(t, os.Symlink(filepath.Join(f.folder, "libcudnn_cnn.so.9"), filepath.Join(folder, "libcudnn.so.8")))
		}, says: []string{"cuDNN 9 was not found, only", "libcudnn.so.8"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := faked(t)
			if test.wrong != nil {
				test.wrong(t, f)
			}
			d, err := Open(test.index)
			if err == nil {
				d.Close()
				t.Fatal("it opens")
			}
			t.Log(err)
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			f.reset()
			if n := f.card.FakeUsed.Long(); n != 0 {
				t.Errorf("%d bytes of the card's memory were not given back", n)
			}
		})
	}
}

// without finds all libraries but one.
func without(t *testing.T, f *fake, name string) string {
	folder := t.TempDir()
	files, err := os.ReadDir(f.folder)
	must(t, err)
	for _, file := range files {
		if file.Name() != name {
			must(t, os.Symlink(filepath.Join(f.folder, file.Name()), filepath.Join(folder, file.Name())))
		}
	}
	t.Setenv(native.Variable, folder)
	return folder
}

// The first error after which nothing works any more is what every later call reports.
func TestLost(t *testing.T) {
	f := faked(t)
	d, err := Open(0)
	must(t, err)
	defer d.Close()
	f.cu.fails("cuStreamSynchronize", 700, 0)
	err = d.Wait(cuda.Compute)
	if !cuda.Lost(err) || !strings.Contains(err.Error(), "cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL_ADDRESS (700)") {
		t.Errorf("waiting: %v", err)
	}
	f.cu.fails("", 0, 0)
	if _, again := d.Alloc(100); again == nil || again.Error() != err.Error() {
		t.Errorf("the next call: %v", again)
	}
}

// A library that fails because the card is lost is not the one to blame.
func TestLostBelowLibrary(t *testing.T) {
	f := faked(t)
	d, err := Open(0)
	must(t, err)
	defer d.Close()
	x, err := d.Alloc(4096)
	must(t, err)
	m := cuda.Matrix{Addr: x, Stride: 8}
	product := &cuda.Matmul{M: 8, N: 8, K: 8, A: m, B: m, C: cuda.Matrix{Addr: x + 1024, Stride: 8}}
	must(t, d.Matmul(product))
	f.blas.fails("cublasLtMatmul", 13, 0)
	err = d.Matmul(product)
	for _, part := range []string{"cublasLtMatmul failed: CUBLAS_STATUS_EXECUTION_FAILED (13)", "8 × 8 by 8 × 8", "free"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	if cuda.Lost(err) {
		t.Error("a failed product is a lost card")
	}
	f.cu.fails("cuStreamQuery", 700, 0)
	if err := d.Matmul(product); !cuda.Lost(err) || !strings.Contains(err.Error(), "cublasLtMatmul of 8 × 8 by 8 × 8") {
		t.Errorf("the card is lost: %v", err)
	}
}

// Shapes that first come up in a capture are refused, as there may be no room for them.
func TestUnseenShapeInGraph(t *testing.T) {
	faked(t)
	d, err := Open(0)
	must(t, err)
	defer d.Close()
	x, err := d.Alloc(4096)
	must(t, err)
	must(t, d.BeginCapture())
	m := cuda.Matrix{Addr: x, Stride: 4}
	err = d.Matmul(&cuda.Matmul{M: 4, N: 4, K: 4, A: m, B: m, C: m})
	if err == nil || !strings.Contains(err.Error(), "product 4 × 4 by 4 × 4, float32 to float32, which came up first while") {
		t.Errorf("%v", err)
	}
}

// A thread may wait for an event beside all other calls.
func TestWaitBeside(t *testing.T) {
	faked(t)
	d, err := Open(0)
	must(t, err)
	defer d.Close()
	e, err := d.NewEvent()
	must(t, err)
	done := make(chan error)
	for range 2 {
		go func() {
			for range 500 {
				if err := d.WaitEvent(e); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 500 {
		must(t, d.Record(e, cuda.Transfer))
	}
	must(t, <-done)
	must(t, <-done)
	if err := d.WaitEvent(1); err == nil || !strings.Contains(err.Error(), "cuEventSynchronize failed: CUDA error 400") {
		t.Errorf("waiting for none: %v", err)
	}
}
