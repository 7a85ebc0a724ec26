package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"vicreg/internal/compare"
	"vicreg/internal/durable"
	"vicreg/internal/npy"
	"vicreg/internal/pack"
	"vicreg/internal/safetensors"
)

// What commands write, told by what is in a file. See guard.
var (
	packedData      = kind{"a packed data set", pack.Is}
	gradients       = kind{"gradients that vicreg loss wrote", isGradients}
	picture         = kind{"a picture that vicreg drew", compare.IsPicture}
	profile         = kind{"a processor profile", isProfile}
	confusionMatrix = kind{"a confusion matrix that vicreg wrote", isConfusion}
	jobList         = kind{"the list of runs of a comparison", func(path string) bool { return readJobs(path) != nil }}
)

// isGradients reports whether a file holds nothing but what loss --grad writes.
func isGradients(path string) bool {
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	known := 0
	for _, t := range f.Tensors {
		switch t.Name {
		case "dz1", "dz2":
			known++
		case "q1", "q2":
		default:
			return false
		}
	}
	return known == 2
}

// isProfile reports whether a file begins as Go's profiles of the processor do.
func isProfile(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return false
	}
	head := make([]byte, 64)
	n, _ := io.ReadFull(z, head)
	return bytes.Contains(head[:n], []byte{10, 4, 8, 1, 16, 2, 10, 4, 8, 3, 16, 4}) // samples/count, cpu/nanoseconds
}

// embeddings is the kind of an array together with the names of its rows. If only one of
// the two exists it is somebody else's file, unless an embed was killed before it could put
// the names in place: then what it was writing is left beside.
func embeddings(array, names string) kind {
	return kind{"from an earlier vicreg embed, an array and its names", func(string) bool {
		n, _, err := npy.Written(array)
		return err == nil && (hasLines(names, n) || len(durable.Left(names)) > 0)
	}}
}

// hasLines reports whether a file has n lines.
func hasLines(path string, n int) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	lines := 0
	for lines <= n {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			lines++
		case err == io.EOF:
			return len(part) == 0 && lines == n
		case err != bufio.ErrBufferFull:
			return false
		}
	}
	return false
}

// comparison is the kind of the table and the plots in a folder: the table tells
// whose the plots are.
func comparison(table string) kind {
	return kind{"of an earlier comparison", func(string) bool {
		f, err := durable.OpenRegular(table)
		if err != nil {
			return false
		}
		defer f.Close()
		line, err := bufio.NewReader(f).ReadString('\n')
		return err == nil && strings.HasPrefix(line, "| run | kNN | linear probe |") && strings.Contains(line, "| beside the gradient |")
	}}
}

// readJobs reads what the runs of a comparison were asked for, nil if a file is
// no such list.
func readJobs(path string) map[string][]string {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<24))
	if err != nil {
		return nil
	}
	var asked map[string][]string
	if json.Unmarshal(raw, &asked) != nil {
		return nil
	}
	for _, args := range asked {
		if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") }) && len(args) > 0 {
			return nil
		}
	}
	return asked
}
