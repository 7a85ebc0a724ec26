package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdShard writes a tar of the files in a folder, in the order of their names, a .cls of
// some text beside each unless that is empty: shard FILE DIR [TEXT].
func cmdShard(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[1])
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, raw []byte) {
		ts.Check(w.WriteHeader(&tar.Header{Name: name, Size: int64(len(raw)), Mode: 0o644}))
		_, err := w.Write(raw)
		ts.Check(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		ts.Check(err)
		name := e.Name()
		add(name, raw)
		if len(args) > 2 {
			add(name[:len(name)-len(filepath.Ext(name))]+".cls", []byte(args[2]))
		}
	}
	ts.Check(w.Close())
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o777))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// cmdTable writes a Parquet table of the images in a folder and a label: table FILE DIR
// NUMBER.
func cmdTable(ts *testscript.TestScript, neg bool, args []string) {
	type row struct {
		Image struct {
			Bytes []byte `parquet:"bytes,optional"`
			Path  string `parquet:"path,optional"`
		} `parquet:"image"`
		Label int64 `parquet:"label"`
	}
	entries, err := os.ReadDir(ts.MkAbs(args[1]))
	ts.Check(err)
	label, err := strconv.ParseInt(args[2], 10, 64)
	ts.Check(err)
	rows := make([]row, len(entries))
	for i, e := range entries {
		rows[i].Image.Path, rows[i].Label = e.Name(), label
		rows[i].Image.Bytes, err = os.ReadFile(filepath.Join(ts.MkAbs(args[1]), e.Name()))
		ts.Check(err)
	}
	ts.Check(parquet.WriteFile(ts.MkAbs(args[0]), rows, parquet.Compression(&parquet.Snappy)))
}
