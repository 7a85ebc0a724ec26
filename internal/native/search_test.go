package native

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes folders and files of a machine that is not this one.
func tree(t *testing.T, files ...string) string {
	root := t.TempDir()
	for _, file := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSearch(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("libraries are opened on Linux alone")
	}
	root := tree(t,
		"opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
		"opt/venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
		"opt/conda/lib/libcudnn.so.9",
		"home/u/.local/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
		"home/u/.local/lib/python3.13/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
		"usr/local/lib/python3.11/dist-packages/nvidia/cublas/lib/libcublasLt.so.12",
		"usr/local/cuda/lib64/x", "usr/local/cuda-12.4/lib64/x", "usr/local/cuda-13.0/lib64/x",
		"usr/local/cuda-13.0/targets/x86_64-linux/lib/x", "usr/local/cuda-13.0/targets/sbsa-linux/lib/x",
		"usr/lib/x86_64-linux-gnu/x", "usr/lib/aarch64-linux-gnu/x",
		"usr/bin/python3.11",
		"work/env/bin/x", "work/env/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
	)
	if err := os.Symlink(filepath.Join(root, "usr/bin/python3.11"), filepath.Join(root, "work/env/bin/python3")); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{Variable: "/a:/b", "VIRTUAL_ENV": "/opt/venv", "CONDA_PREFIX": "/opt/conda", "HOME": "/home/u"}
	get := func(name string) string { return env[name] }
	s := places{root: root, env: get, python: "/work/env/bin/python3", arch: "amd64"}.search()
	if !slices.Equal(s.First, []string{"/a", "/b"}) {
		t.Errorf("first in %v", s.First)
	}
	var got []string
	for _, folder := range s.Then {
		got = append(got, strings.TrimPrefix(folder, root))
	}
	want := []string{
		"/opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib",
		"/opt/venv/lib/python3.12/site-packages/nvidia/cu13/lib",
		"/opt/conda/lib",
		"/work/env/lib/python3.11/site-packages/nvidia/cudnn/lib",
		"/usr/local/lib/python3.11/dist-packages/nvidia/cublas/lib", // where the python3 really lies
		"/home/u/.local/lib/python3.13/site-packages/nvidia/cudnn/lib",
		"/home/u/.local/lib/python3.9/site-packages/nvidia/cudnn/lib",
		"/usr/local/cuda/lib64", "/usr/local/cuda-13.0/lib64", "/usr/local/cuda-12.4/lib64",
		"/usr/local/cuda-13.0/targets/x86_64-linux/lib",
		"/usr/lib/x86_64-linux-gnu", "/usr/local/lib",
	}
	if !slices.Equal(got, want) {
		t.Errorf("then in\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	files := Files(s.Then, "libcudnn.so.9")
	if len(files) != 5 || !strings.HasPrefix(files[0], root+"/opt/venv/") {
		t.Errorf("files %v", files)
	}
	bare := places{root: root + "/nothing", env: func(string) string { return "" }, arch: "arm64"}.search()
	if len(bare.First)+len(bare.Then) != 0 {
		t.Errorf("on a bare machine: %+v", bare)
	}
	arm := places{root: root, env: func(string) string { return "" }, arch: "arm64"}.search()
	for _, folder := range []string{"/usr/local/cuda-13.0/targets/sbsa-linux/lib", "/usr/lib/aarch64-linux-gnu"} {
		if !slices.Contains(arm.Then, root+folder) {
			t.Errorf("on arm64 %s is not in %v", folder, arm.Then)
		}
	}
	if slices.Contains(arm.Then, root+"/usr/lib/x86_64-linux-gnu") {
		t.Errorf("on arm64: %v", arm.Then)
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"cuda", "cuda-11.8", "cuda-12.4", "cuda-12.10", "python3.9", "python3.13", "python3.13t"}
	for i, a := range order {
		for j, b := range order {
			if got := compareVersions(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
	}
}
