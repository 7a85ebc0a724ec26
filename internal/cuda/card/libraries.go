//go:build native && linux && (amd64 || arm64)

package card

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/native"
)

// libraries are cuDNN and cuBLASLt, which must be made for the same CUDA as each other,
// and for none newer than the driver knows.
type libraries struct {
	cu, dnn, blas           *native.Library
	dnnVersion, blasVersion int
	err                     error // what is missing, and how to get it
}

const dnnName = "libcudnn.so.9"

// dnnParts are the libraries that every cuDNN 9 consists of, each before those that need it.
var dnnParts = []string{"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_heuristic.so.9",
	"libcudnn_engines_runtime_compiled.so.9", "libcudnn_engines_precompiled.so.9", "libcudnn_cnn.so.9"}

// libraries finds both.
func (d *driver) libraries(s native.Search) libraries {
	l := libraries{cu: d.cuLibrary}
	cudaMajor := d.cudaVersion / 1000
	l.err = func() (err error) {
		if l.dnn, err = openDNN(s, cudaMajor); err != nil {
			return err
		}
		if err := l.dnn.Table(&d.dnn); err != nil {
			return fmt.Errorf("cuDNN cannot be used: %w", err)
		}
		l.dnnVersion = int(d.dnn.CudnnGetVersion.Long())
		made := int(d.dnn.CudnnGetCudartVersion.Long()) / 1000
		if made < 12 || made > 99 {
			made = cudaMajor
		}
		if made > cudaMajor {
			return fmt.Errorf("cuDNN %s (%s) is made for CUDA %d, and the driver is %s: update the driver, or, for "+
				"an older cuDNN, %s", version(l.dnnVersion), l.dnn, made, d.card.Driver, install(cudaMajor))
		}
		if l.blas, err = openBLAS(s, made); err != nil {
			return fmt.Errorf("%w (cuDNN %s at %s is made for CUDA %d)", err, version(l.dnnVersion), l.dnn, made)
		}
		if err := l.blas.Table(&d.blas); err != nil {
			return fmt.Errorf("cuBLASLt cannot be used: %w", err)
		}
		l.blasVersion = int(d.blas.CublasLtGetVersion.Long())
		// cuDNN opens these by their names when it needs them.
		preload(s, fmt.Sprintf("libcudart.so.%d", made), fmt.Sprintf("libcublas.so.%d", made),
			fmt.Sprintf("libnvrtc.so.%d", made))
		return nil
	}()
	if l.blas == nil { // to say whether it is there
		l.blas, _ = openBLAS(s, cudaMajor)
	}
	return l
}

// openDNN opens cuDNN with its parts at hand.
func openDNN(s native.Search, cudaMajor int) (*native.Library, error) {
	l, err := s.Open(dnnName)
	var failure *native.NotFound
	if errors.As(err, &failure) && len(failure.Failed) > 0 { // perhaps for want of a library beside it
		for major := cudaMajor; major >= 12; major-- {
			preload(s, fmt.Sprintf("libcudart.so.%d", major), fmt.Sprintf("libcublasLt.so.%d", major),
				fmt.Sprintf("libcublas.so.%d", major), fmt.Sprintf("libnvrtc.so.%d", major))
		}
		l, err = s.Open(dnnName)
	}
	if err != nil {
		if errors.As(err, &failure) && len(failure.Failed) > 0 {
			return nil, fmt.Errorf("cuDNN 9 cannot be used: %w", err)
		}
		for _, other := range []string{"libcudnn.so.8", "libcudnn.so.10"} {
			if old, openErr := s.Open(other); openErr == nil {
				return nil, fmt.Errorf("cuDNN 9 was not found, only %s: %s", old, install(cudaMajor))
			}
		}
		return nil, fmt.Errorf("cuDNN 9 (%s) was not found: %s", dnnName, install(cudaMajor))
	}
	if l.Path == "" {
		return l, nil
	}
	folder := filepath.Dir(l.Path)
	for _, part := range dnnParts {
		if len(native.Files([]string{folder}, part)) == 0 {
			return nil, fmt.Errorf("cuDNN at %s is not whole, %s is missing: %s", folder, part,
				install(cudaMajor))
		}
	}
	// It opens its parts by their names, and would take those of another version if they
	// come first on the system's path.
	parts, _ := filepath.Glob(filepath.Join(folder, "libcudnn_*.so.9")) // the pattern is right
	slices.SortStableFunc(parts, func(a, b string) int { return place(a) - place(b) })
	for _, part := range parts {
		native.Preload(part)
	}
	return l, nil
}

// place is where a part of cuDNN stands among those it needs; others come last.
func place(file string) int {
	if i := slices.Index(dnnParts, filepath.Base(file)); i >= 0 {
		return i
	}
	return len(dnnParts)
}

// openBLAS opens the cuBLASLt that is made for a CUDA.
func openBLAS(s native.Search, made int) (*native.Library, error) {
	name := fmt.Sprintf("libcublasLt.so.%d", made)
	l, err := s.Open(name)
	if err == nil {
		return l, nil
	}
	var failure *native.NotFound
	if errors.As(err, &failure) && len(failure.Failed) > 0 {
		return nil, fmt.Errorf("cuBLAS %d cannot be used: %w", made, err)
	}
	for _, other := range []int{13, 12, 11} {
		if found, openErr := s.Open(fmt.Sprintf("libcublasLt.so.%d", other)); other != made && openErr == nil {
			return nil, fmt.Errorf("cuBLAS %d (%s) was not found, only %s: %s", made, name, found, install(made))
		}
	}
	return nil, fmt.Errorf("cuBLAS %d (%s) was not found: %s", made, name, install(made))
}

// preload opens what there is of some libraries, for others that ask for them by name.
func preload(s native.Search, names ...string) {
	for _, name := range names {
		_, _ = s.Open(name)
	}
}

// install says how to get the libraries for a CUDA.
func install(cudaMajor int) string {
	packages := "nvidia-cudnn-cu13 nvidia-cublas"
	if cudaMajor < 13 {
		packages = "nvidia-cudnn-cu12 nvidia-cublas-cu12"
	}
	return "get it by pip install " + packages + ", or name its folder in " + native.Variable
}

// version writes 91400 as 9.14.0 and 130002 as 13.0.2.
func version(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// cudaName writes 12040 as 12.4.
func cudaName(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// driverVersion says what the driver is: 580.95.05 (CUDA 13.0).
func driverVersion(cuda int) string {
	text, err := os.ReadFile("/sys/module/nvidia/version")
	name := strings.TrimSpace(string(text))
	if err != nil || name == "" {
		return "CUDA " + cudaName(cuda)
	}
	return fmt.Sprintf("%s (CUDA %s)", name, cudaName(cuda))
}

func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
