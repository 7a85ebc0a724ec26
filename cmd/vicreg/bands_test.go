package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdBands writes images of many channels: bands DIR COUNT KIND CHANNELS. KIND is tif (16 bits)
// or npy (floats, of which every third file misses a value); the spectrum depends on DIR. Beside
// DIR stands DIR.csv with a row of numbers for each.
func cmdBands(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	channels, err := strconv.Atoi(args[3])
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	r := rand.New(rand.NewPCG(uint64(len(args[0])), uint64(args[0][len(args[0])-1])))
	spectrum := make([]float64, channels)
	for c := range spectrum {
		spectrum[c] = 500 + 3000*r.Float64()
	}
	rows := "image,x\n"
	for i := range count {
		const w, h = 15, 13
		v := make([]float64, 0, w*h*channels)
		cx := r.IntN(w)
		for y := range h {
			for x := range w {
				for c := range channels {
					v = append(v, spectrum[c]*(1+0.1*float64((x-cx)*c%5)+0.02*float64(y))+50*r.Float64())
				}
			}
		}
		name, b := fmt.Sprintf("b%03d.%s", i, args[2]), bandsTIFF(w, h, channels, v)
		if args[2] == "npy" {
			if i%3 == 1 {
				v[5] = math.NaN()
			}
			b = bandsNPY(w, h, channels, v)
		}
		ts.Check(os.WriteFile(filepath.Join(dir, name), b, 0o644))
		rows += fmt.Sprintf("%s/%s,%d\n", filepath.Base(dir), name, i%5)
	}
	ts.Check(os.WriteFile(dir+".csv", []byte(rows), 0o644))
}

// bandsTIFF is a file of samples of 16 bits side by side, of which all but the first are extra.
func bandsTIFF(w, h, channels int, v []float64) []byte {
	le := binary.LittleEndian
	tags := [][3]int{{256, 3, w}, {257, 3, h}, {258, 3, 16}, {259, 3, 1}, {262, 3, 1}, {273, 4, 0}, {277, 3, channels},
		{278, 3, h}, {279, 4, 2 * len(v)}}
	b := le.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(tags)))
	tags[5][2] = 8 + 2 + 12*len(tags) + 4
	for _, t := range tags {
		b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, uint16(t[0])), uint16(t[1])), 1)
		b = le.AppendUint32(b, uint32(t[2]))
	}
	b = le.AppendUint32(b, 0)
	for _, x := range v {
		b = le.AppendUint16(b, uint16(x))
	}
	return b
}

func bandsNPY(w, h, channels int, v []float64) []byte {
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d), }\n", h, w, channels)
	b := append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head))), head...)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return b
}
