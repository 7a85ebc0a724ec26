package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"vicreg/internal/npy"
)

// cmdPairs writes a manifest DIR/pairs.csv of COUNT rows and their files, a side
// of every type in it: pairs DIR COUNT. What is common to the sides of a row is
// its number, what is common to a kind the number's remainder by 4.
func cmdPairs(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(writePairs(ts.MkAbs(args[0]), count))
}

// cmdPoke writes bytes over those of a file: poke FILE OFFSET HEX [HEX ...].
func cmdPoke(ts *testscript.TestScript, neg bool, args []string) {
	at, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	b, err := hex.DecodeString(strings.Join(args[2:], ""))
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteAt(b, at)
	ts.Check(err)
	ts.Check(f.Close())
}

func writePairs(dir string, count int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	csv := "photo,wav,path,vec,temp,load,caption,kind,part\n"
	for i := range count {
		if err := writePair(dir, i); err != nil {
			return err
		}
		temp := fmt.Sprint(i % 7)
		if i%9 == 2 {
			temp = "NA"
		}
		part := "train"
		if i%5 == 4 {
			part = "test"
		}
		csv += fmt.Sprintf("%d.png,%[1]d.wav,%[1]d.csv,%[1]d.npy,%s,%d,\"row %[1]d, kind %[4]d\",k%[4]d,%[5]s\n", i, temp, i*i%13, i%4, part)
	}
	return os.WriteFile(filepath.Join(dir, "pairs.csv"), []byte(csv), 0o644)
}

// writePair writes the files of row i.
func writePair(dir string, i int) error {
	file := func(ending string) string { return filepath.Join(dir, fmt.Sprint(i)+ending) }
	m := image.NewRGBA(image.Rect(0, 0, 14, 14))
	for p := range 14 * 14 {
		m.Set(p%14, p/14, color.RGBA{uint8(9 * i), uint8(60 * (i % 4)), uint8(p), 255})
	}
	var picture, sound bytes.Buffer
	if err := png.Encode(&picture, m); err != nil {
		return err
	}
	const rate = 4000
	n := 800 + 10*i
	for _, v := range []any{[]byte("RIFF"), uint32(36 + 2*n), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1),
		uint32(rate), uint32(2 * rate), uint16(2), uint16(16),
		[]byte("data"), uint32(2 * n)} {
		binary.Write(&sound, binary.LittleEndian, v)
	}
	series := "t,x,y\n"
	for k := range n {
		binary.Write(&sound, binary.LittleEndian, int16(9000*math.Sin(float64(k*(i%4+1))/5)))
	}
	for k := range 20 + i%5 {
		series += fmt.Sprintf("%d:00,%d,%d\n", k, k*i%11, i%4)
	}
	for name, data := range map[string][]byte{file(".png"): picture.Bytes(), file(".wav"): sound.Bytes(),
		file(".csv"): []byte(series)} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(file(".npy"))
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := npy.NewWriter(f, 1, 3)
	if err == nil {
		err = w.Write([]float32{float32(i), float32(i % 4), float32(i * i % 5)})
	}
	if err == nil {
		err = w.Close()
	}
	return err
}
