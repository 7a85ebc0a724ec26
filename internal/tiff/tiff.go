// Package tiff reads the first picture of a TIFF file into pixels of 8 bits, or its samples as
// they are.
//
// What is read: grey and black and white of 1 to 16 bits, colour of 8 to 16 bits,
// palettes, alpha, and CMYK of 8 bits, by [File.Decode]; up to 64 samples in a pixel, of 8 or
// 16 bits with a sign or without or floating-point numbers, by [File.Read]; as they are, or
// packed as fax of any kind,
// LZW (the old one too), Deflate, PackBits or JPEG; in strips or tiles, samples
// side by side or in planes, either order of bytes and of bits; BigTIFF. The rest
// gives an [UnsupportedError] that says what it is.
//
// A file is not trusted: what it asks for is held against its length before any
// memory is taken.
package tiff

import (
	"fmt"
	"io"
)

// A FormatError says what is wrong with a file.
type FormatError string

func (e FormatError) Error() string { return string(e) }

// An UnsupportedError says what kind of file is not read.
type UnsupportedError string

func (e UnsupportedError) Error() string { return string(e) }

// File is a TIFF whose first directory has been read and found to be of a kind
// that can be decoded.
type File struct {
	W, H int

	d           *Directory
	size        int64
	compression int64
	photometric int64
	bits        int
	format      int64 // of a sample: one of the formats
	samples     int   // of a pixel
	colours     int   // of them; those behind are extra
	alpha       int   // noAlpha, or how the first extra sample is meant
	untold      bool  // there are extra samples, and nothing says what for
	planes      bool
	reversed    bool // the lowest bit of a byte is first
	predictor   int64
	invert      bool      // 0 is white
	palette     [][3]byte // nil: none
	greys       bool      // the palette holds nothing else
	tiled       bool
	tw, th      int // of a tile, or of a strip
	offsets     []int64
	lengths     []int64
}

// Formats of samples, as the tag gives them.
const (
	unsigned = 1
	signed   = 2
	floating = 3
)

// What an extra sample is for.
const (
	noAlpha = iota
	plainAlpha
	multiplied // colours are multiplied by it
)

// Compressions, as the tag gives them.
const (
	packNone     = 1
	packHuffman  = 2
	packGroup3   = 3
	packGroup4   = 4
	packLZW      = 5
	packJPEG     = 7
	packDeflate  = 8
	packWords    = 32771
	packPackBits = 32773
	packDeflate2 = 32946
)

// compressions names those that are not read.
var compressions = map[int64]string{
	6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 32895: "raster padding",
	32908: "Pixar film", 32909: "Pixar", 32947: "DCS", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000",
	34661: "JBIG", 34676: "SGI log", 34677: "SGI log", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG",
	34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}

// photometrics names colours that are not read.
var photometrics = map[int64]string{
	4: "a transparency mask", 8: "CIELab colours", 9: "ICCLab colours", 10: "ITULab colours",
	32803: "a camera's raw samples", 32844: "LogL samples", 32845: "LogLuv colours", 34892: "a camera's raw samples",
	51177: "a depth map", 52527: "a mask",
}

// Open reads the first directory of the file of the given size.
func Open(r io.ReaderAt, size int64) (*File, error) {
	d, err := ReadDirectory(r, size)
	if err != nil {
		return nil, FormatError(err.Error())
	}
	if d.cut {
		return nil, FormatError(errCut.Error())
	}
	for tag := range d.lost {
		switch tag {
		case tagWidth, tagHeight, tagBits, tagCompression, tagPhotometric, tagFillOrder, tagStripOffsets, tagSamples,
			tagRowsPerStrip, tagStripBytes, tagPlanar, tagT4Options, tagPredictor, tagColorMap, tagTileWidth,
			tagTileHeight,
			tagTileOffsets, tagTileBytes, tagExtraSamples, tagSampleFormat, tagJPEGTables:
			return nil, FormatError(fmt.Sprintf("the values of tag %d are not there, or %v", tag, errCut))
		}
	}
	f := &File{d: d, size: size, compression: d.one(tagCompression, 1), photometric: d.one(tagPhotometric, 0)}
	w, h := d.one(tagWidth, 0), d.one(tagHeight, 0)
	if w < 1 || h < 1 || w > 1<<31-1 || h > 1<<31-1 {
		return nil, FormatError(fmt.Sprintf("%d × %d pixels", w, h))
	}
	f.W, f.H = int(w), int(h)
	for _, check := range []func() error{f.samplesOf, f.packing, f.colour, f.layout} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// samplesOf reads how many samples a pixel has, and of what kind.
func (f *File) samplesOf() error {
	d := f.d
	const most = 64
	otherwise := int64(1)
	if f.compression == packJPEG && (f.photometric == 2 || f.photometric == 6) {
		otherwise = 3
	}
	if n := int64(f.d.entries[tagBits].count); n > 1 && n <= 8 { // some writers give those of each sample alone
		otherwise = n
	}
	samples := d.one(tagSamples, otherwise)
	if samples < 1 {
		return FormatError(fmt.Sprintf("%d samples in a pixel", samples))
	}
	if samples > most {
		return UnsupportedError(fmt.Sprintf("%d samples in a pixel", samples))
	}
	f.samples = int(samples)
	bits := d.ints(tagBits, most)
	if len(bits) == 0 {
		bits = []int64{1}
	}
	for _, b := range bits[:min(len(bits), f.samples)] {
		if b != bits[0] {
			return UnsupportedError(fmt.Sprintf("samples of %d and of %d bits", bits[0], b))
		}
	}
	f.format = unsigned
	for i, kind := range d.ints(tagSampleFormat, f.samples) {
		switch {
		case kind == 5 || kind == 6:
			return UnsupportedError("complex samples")
		case kind != signed && kind != floating:
			kind = unsigned
		}
		if i > 0 && kind != f.format {
			return UnsupportedError("samples of several formats")
		}
		f.format = kind
	}
	if f.photometric == 5 && f.format == unsigned {
		return f.inks(bits)
	}
	switch {
	case f.format == unsigned && (bits[0] < 1 || bits[0] > 16):
		return UnsupportedError(fmt.Sprintf("samples of %d bits", bits[0]))
	case f.format == signed && bits[0] != 8 && bits[0] != 16:
		return UnsupportedError(fmt.Sprintf("signed samples of %d bits", bits[0]))
	case f.format == floating && bits[0] != 16 && bits[0] != 32 && bits[0] != 64:
		return UnsupportedError(fmt.Sprintf("floating-point samples of %d bits", bits[0]))
	}
	f.bits = int(bits[0])
	return nil
}

// inks refuses what is not cyan, magenta, yellow and black of 8 bits side by side.
func (f *File) inks(bits []int64) error {
	switch {
	case f.compression == 6 || f.compression == packJPEG:
		return UnsupportedError("CMYK packed as JPEG")
	case f.d.one(tagPlanar, 1) != 1:
		return UnsupportedError("CMYK in planes")
	case f.d.one(tagInks, 1) != 1:
		return UnsupportedError("other inks than CMYK")
	case f.samples != 4:
		return UnsupportedError(fmt.Sprintf("CMYK of %d samples", f.samples))
	case len(bits) != 4 && len(bits) != 1 || bits[0] != 8:
		return UnsupportedError(fmt.Sprintf("CMYK of %d bits", bits))
	}
	f.bits = 8
	return nil
}

// packing reads how the samples are packed.
func (f *File) packing() error {
	d := f.d
	switch f.compression {
	case packNone, packLZW, packDeflate, packDeflate2, packPackBits:
	case packHuffman, packWords, packGroup3, packGroup4:
		if f.bits != 1 {
			return UnsupportedError(fmt.Sprintf("fax of %d bits", f.bits))
		}
	case packJPEG:
		if f.bits != 8 {
			return UnsupportedError(fmt.Sprintf("JPEG of %d bits", f.bits))
		}
	default:
		name := compressions[f.compression]
		if name == "" {
			name = fmt.Sprintf("value %d of", f.compression)
		}
		return UnsupportedError(name + " compression")
	}
	switch planar := d.one(tagPlanar, 1); planar {
	case 1:
	case 2:
		f.planes = f.samples > 1
	default:
		return FormatError(fmt.Sprintf("value %d of its planes", planar))
	}
	if f.fax() && f.samples > 1 && !f.planes {
		return UnsupportedError(fmt.Sprintf("fax of %d samples", f.samples))
	}
	f.reversed = d.one(tagFillOrder, 1) == 2 && f.compression != packJPEG
	f.predictor = 1
	if f.compression == packLZW || f.compression == packDeflate || f.compression == packDeflate2 {
		f.predictor = d.one(tagPredictor, 1)
	}
	switch {
	case f.predictor < 0 || f.predictor > 3:
		return FormatError(fmt.Sprintf("value %d of its predictor", f.predictor))
	case f.predictor == 3 && f.format != floating:
		return UnsupportedError("differences of floating-point samples that are none")
	case f.predictor == 2 && f.bits != 8 && f.bits != 16 && f.bits != 32 && f.bits != 64:
		return UnsupportedError(fmt.Sprintf("differences of samples of %d bits", f.bits))
	}
	return nil
}

func (f *File) fax() bool {
	switch f.compression {
	case packHuffman, packWords, packGroup3, packGroup4:
		return true
	}
	return false
}

// colour reads what the samples stand for.
func (f *File) colour() error {
	switch f.photometric {
	case 0, 1:
		f.colours, f.invert = 1, f.photometric == 0
	case 2:
		f.colours = 3
	case 3:
		f.colours = 1
		if f.bits > 8 {
			return UnsupportedError(fmt.Sprintf("a palette for samples of %d bits", f.bits))
		}
		if f.compression == packJPEG {
			return UnsupportedError("a palette and JPEG")
		}
		if err := f.colourMap(); err != nil {
			return err
		}
	case 5:
		f.colours = 4
	case 6:
		f.colours = 3
		if f.compression != packJPEG {
			return UnsupportedError("YCbCr colours that are not packed as JPEG")
		}
		if f.planes {
			return UnsupportedError("YCbCr colours in planes")
		}
	default:
		name := photometrics[f.photometric]
		if name == "" {
			name = fmt.Sprintf("value %d of its colours", f.photometric)
		}
		return UnsupportedError(name)
	}
	if f.samples < f.colours {
		return FormatError(fmt.Sprintf("%d samples in a pixel, too few for its colours", f.samples))
	}
	extra := f.d.ints(tagExtraSamples, 1)
	f.untold = len(extra) == 0 && f.samples > f.colours
	switch {
	case f.samples == f.colours:
	case f.untold && f.colours == 1: // as many channels
	case f.untold:
		// Writers that do not tell mean alpha, and some tell nonsense.
		f.alpha = plainAlpha
	case extra[0] == 1:
		f.alpha = multiplied
	case extra[0] == 2, extra[0] == 999:
		f.alpha = plainAlpha
	}
	if f.compression == packJPEG && !f.planes && f.samples > f.colours {
		return UnsupportedError(fmt.Sprintf("JPEG of %d samples", f.samples))
	}
	return nil
}

func (f *File) colourMap() error {
	entries := 1 << f.bits
	v := f.d.ints(tagColorMap, 3<<16)
	each := len(v) / 3 // red, then green, then blue
	if each == 0 {
		return FormatError("no palette")
	}
	// Values have 16 bits; where none needs more than 8, the writer took them
	// for 8.
	shift := 0
	for _, c := range v {
		if c > 255 {
			shift = 8
		}
	}
	f.palette, f.greys = make([][3]byte, entries), true
	for i := range f.palette {
		if i >= each { // as Pillow has it
			f.palette[i] = [3]byte{byte(i), byte(i), byte(i)}
			continue
		}
		for c := range 3 {
			f.palette[i][c] = byte(v[c*each+i] >> shift)
		}
		p := f.palette[i]
		f.greys = f.greys && p[0] == p[1] && p[1] == p[2]
	}
	return nil
}
