package tiff

import "fmt"

// layout reads the size of strips or tiles.
func (f *File) layout() error {
	d := f.d
	_, width := d.entries[tagTileWidth]
	_, offsets := d.entries[tagTileOffsets]
	f.tiled = width || offsets
	var tw, th int64
	if f.tiled {
		tw, th = d.one(tagTileWidth, 0), d.one(tagTileHeight, 0)
	} else {
		tw, th = int64(f.W), d.one(tagRowsPerStrip, int64(f.H))
		if th == 0 {
			th = int64(f.H)
		}
		th = min(th, int64(f.H))
	}
	if tw < 1 || th < 1 || tw > 1<<31-1 {
		return FormatError(fmt.Sprintf("tiles of %d × %d pixels", tw, th))
	}
	f.tw, f.th = int(tw), int(min(th, 1<<31-1))
	return nil
}

// across and down are the number of tiles or strips in a plane.
func (f *File) across() int { return (f.W-1)/f.tw + 1 }
func (f *File) down() int   { return (f.H-1)/f.th + 1 }

// chunkSamples is the number of samples of a pixel in one strip or tile.
func (f *File) chunkSamples() int {
	if f.planes {
		return 1
	}
	return f.samples
}

// Check looks whether the strips or tiles are there and may hold the picture. It
// is for a picture whose size is within bounds.
func (f *File) Check() error {
	area := int64(f.W) * int64(f.H)
	if padded := int64(f.across()) * int64(f.tw); padded > 16*int64(f.W)+1<<16 || padded*int64(f.H) > 16*area+1<<24 {
		return FormatError(fmt.Sprintf("tiles of %d × %d pixels", f.tw, f.th))
	}
	planes := 1
	if f.planes {
		planes = f.samples
	}
	each := int64(f.across()) * int64(f.down())
	chunks := each * int64(planes)
	offsets, lengths, what := uint16(tagStripOffsets), uint16(tagStripBytes), "strips"
	if f.tiled {
		offsets, lengths, what = tagTileOffsets, tagTileBytes, "tiles"
	}
	// Some files with tiles give their places in the tags of strips.
	if _, ok := f.d.entries[offsets]; !ok && f.tiled {
		offsets, lengths = tagStripOffsets, tagStripBytes
	}
	e := f.d.entries[offsets]
	const pieces = 1 << 15
	if f.compression == packJPEG && chunks > pieces { // each takes its time, however small
		return FormatError(fmt.Sprintf("a JPEG in %d pieces", chunks))
	}
	switch {
	case e.count == 0:
		return FormatError("nothing says where the pixels are, or the file is cut short")
	case f.planes && int64(e.count) < chunks && e.count <= uint64(each):
		return UnsupportedError("planes in one strip")
	case int64(e.count) < chunks:
		return FormatError(fmt.Sprintf("%d of %d %s", e.count, chunks, what))
	}
	f.offsets = f.d.ints(offsets, int(chunks))
	f.lengths = f.d.ints(lengths, int(chunks))
	if int64(len(f.offsets)) < chunks {
		return FormatError("places of pixels that are no numbers")
	}
	var packed, needed, holes int64
	for i := range f.offsets {
		if f.empty(i) {
			holes++
			continue
		}
		from, length := f.chunk(i)
		if from > f.size || from < 0 || length == 0 {
			return FormatError(errCut.Error())
		}
		packed += length
	}
	if holes == chunks && !f.tiled { // an empty map has tiles; this was never finished
		return FormatError("none of its strips are there: the file was not written to its end")
	}
	row := (int64(f.tw)*int64(f.chunkSamples())*int64(f.bits) + 7) / 8
	rows := int64(f.H) * int64(f.across()) * int64(planes)
	rows = max(rows-holes*int64(f.th), 0)
	needed = row * rows
	if f.compression == packJPEG && packed > 16*f.size+1<<26 {
		return FormatError("pieces of JPEG that overlap")
	}
	if f.compression != packNone { // several may be the same
		packed = min(packed, f.size)
	}
	var most int64 // bytes that one can hold
	switch f.compression {
	case packNone:
		most = 1
	case packLZW:
		most = 2731
	case packDeflate, packDeflate2:
		most = 1032
	case packPackBits:
		most = 64
	case packJPEG:
		most = 1 << 10 // the blocks are counted where they are read
	default:
		needed, most = rows, 8 // a row takes a bit
	}
	if needed/most > packed {
		return FormatError(errCut.Error())
	}
	return nil
}

// empty reports whether strip or tile i is left out, as GDAL does with those of
// nothing but zeros.
func (f *File) empty(i int) bool {
	return f.offsets[i] == 0 && i < len(f.lengths) && f.lengths[i] == 0
}

// chunk returns where strip or tile i is and how many bytes it may have.
func (f *File) chunk(i int) (from, length int64) {
	from, length = f.offsets[i], f.size-f.offsets[i]
	if i < len(f.lengths) && f.lengths[i] > 0 && f.compression != packNone {
		length = min(length, f.lengths[i])
	}
	return from, max(length, 0)
}
