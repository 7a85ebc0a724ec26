//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"
	"runtime"

	"vicreg/internal/cuda"
	"vicreg/internal/native"
)

// Found is a card that [Look] saw.
type Found struct {
	cuda.Card
	Libraries []string // a line each: which was found, and where
	Err       error    // why the card cannot be used, as Open would say it
}

// Count returns how many cards there are that the driver can use; 0 where there is no driver.
func Count() int {
	defer runtime.UnlockOSThread()
	runtime.LockOSThread()
	d, err := start()
	if err != nil {
		return 0
	}
	n, err := d.count()
	if err != nil {
		return 0
	}
	return n
}

// Look looks for cards and libraries and starts none. Its error says why there are none.
func Look() ([]Found, error) {
	defer runtime.UnlockOSThread()
	runtime.LockOSThread()
	d, err := start()
	if err != nil {
		return nil, err
	}
	n, err := d.count()
	if err != nil {
		return nil, err
	}
	l := d.libraries(native.NewSearch(runtime.GOARCH))
	lines := l.lines()
	all := make([]Found, n)
	for i := range all {
		f := &all[i]
		f.Err = d.pick(i)
		f.Card, f.Libraries = d.card, lines
		if f.Err == nil {
			f.Err = l.err
		}
	}
	return all, nil
}

// lines tells which libraries were found.
func (l libraries) lines() []string {
	var lines []string
	for _, found := range []struct {
		name    string
		version int
		at      *native.Library
	}{{"cuDNN", l.dnnVersion, l.dnn}, {"cuBLAS", l.blasVersion, l.blas}} {
		switch {
		case found.at == nil:
			lines = append(lines, found.name+" missing")
		case found.version == 0:
			lines = append(lines, fmt.Sprintf("%s at %s", found.name, found.at))
		default:
			lines = append(lines, fmt.Sprintf("%s %s at %s", found.name, version(found.version), found.at))
		}
	}
	return lines
}
