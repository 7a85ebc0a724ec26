package imagefile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// headBytes is how much of a file is looked at to tell what it is.
const headBytes = 512

// kinds are files that are not read, by their first bytes. A dot stands for any
// byte.
var kinds = []struct{ magic, what string }{
	{"....ftypavif", "an AVIF picture"}, {"....ftypavis", "an AVIF picture"},
	{"....ftyphei", "a HEIC picture"}, {"....ftyphev", "a HEIC picture"}, {"....ftypmif", "a HEIC picture"}, {"....ftypmsf", "a HEIC picture"},
	{"....ftypcrx", "a camera's raw picture"}, {"FUJIFILMCCD-RAW", "a camera's raw picture"}, {"IIRO", "a camera's raw picture"}, {"IIU\x00", "a camera's raw picture"},
	{"....ftypjxl", "a JPEG XL picture"}, {"....ftypjp2", "a JPEG 2000 picture"},
	{"....ftyp", "a video (MP4 or QuickTime), not an image"}, {"....moov", "a video (QuickTime), not an image"}, {"....mdat", "a video (QuickTime), not an image"},
	{"....wide", "a video (QuickTime), not an image"}, {"....free", "a video (QuickTime), not an image"}, {"....skip", "a video (QuickTime), not an image"},
	{"RIFF....AVI ", "a video (AVI), not an image"}, {"\x1a\x45\xdf\xa3", "a video (Matroska or WebM), not an image"}, {"RIFF....WAVE", "sound (WAV), not an image"},
	{"\xff\x0a", "a JPEG XL picture"}, {"....JXL ", "a JPEG XL picture"}, {"....jP  ", "a JPEG 2000 picture"}, {"\xff\x4f\xff\x51", "a JPEG 2000 picture"},
	{"II\xbc", "a JPEG XR picture"}, {"v/1\x01", "an OpenEXR picture"}, {"qoif", "a QOI picture"}, {"\x00\x00\x01\x00", "an icon"},
	{"\x00\x00\x02\x00", "a mouse pointer"}, {"icns", "an icon of macOS (ICNS)"}, {"SIMPLE  =", "a FITS picture"}, {"%PDF", "a PDF document"},
	{"8BPS", "a Photoshop file"}, {"gimp xcf", "a GIMP file"}, {"DDS ", "a texture (DDS)"}, {"\xabKTX ", "a texture (KTX)"}, {"\x01\xda", "an SGI picture"},
	{"#?RADIANCE", "a Radiance HDR picture"}, {"#?RGBE", "a Radiance HDR picture"}, {"\x59\xa6\x6a\x95", "a Sun raster picture"}, {"\x8aMNG", "an MNG animation"},
	{"\x8bJNG", "a JNG picture"}, {"BPG\xfb", "a BPG picture"}, {"FLIF", "a FLIF picture"}, {"AT&TFORM", "a DjVu document"}, {"%!PS", "a PostScript document"},
	{"\xc5\xd0\xd3\xc6", "a PostScript document"}, {"\xd7\xcd\xc6\x9a", "a drawing (WMF)"}, {"\x89HDF\r\n", "an HDF5 file"}, {"\x93NUMPY", "a NumPy array"},
	{"PK\x03\x04", "a ZIP archive; unpack it"}, {"PK\x05\x06", "an empty ZIP archive"}, {"\x1f\x8b", "a file packed with gzip; unpack it"},
	{"BZh", "a file packed with bzip2; unpack it"}, {"\xfd7zXZ\x00", "a file packed with xz; unpack it"}, {"\x28\xb5\x2f\xfd", "a file packed with zstd; unpack it"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it"}, {"Rar!", "a RAR archive; unpack it"}, {"/* XPM */", "an XPM picture"},
	{"version https://git-lfs.github.com/", lfsPointer},
}

const lfsPointer = "a Git LFS pointer, not the picture; run git lfs pull"

// kindOf says what a file that is not read is.
func kindOf(head []byte) string {
	head = head[:min(len(head), headBytes)]
	if isTGA(head) { // of colours, it begins as a mouse pointer does
		return "a TGA picture"
	}
	for _, k := range kinds {
		fits := len(head) >= len(k.magic)
		for i := 0; fits && i < len(k.magic); i++ {
			fits = head[i] == k.magic[i] || k.magic[i] == '.' && i < 8
		}
		if fits {
			return k.what
		}
	}
	if len(head) < 12 || len(bytes.Trim(head, "\x00")) == 0 {
		return "not an image (too short, or nothing but zeros)"
	}
	switch {
	case head[0] == 'P' && strings.ContainsRune("1234567Ff", rune(head[1])) && strings.ContainsRune(" \t\r\n#", rune(head[2])):
		return "a Netpbm picture"
	case len(head) >= 132 && string(head[128:132]) == "DICM":
		return "a DICOM picture"
	case isPCX(head):
		return "a PCX picture"
	}
	if what := textKind(head); what != "" {
		return what
	}
	return "not an image"
}

// textKind says what a file of text is, "" if it is none.
func textKind(head []byte) string {
	text := string(head)
	switch {
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		text = text[3:]
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"): // UTF-16
		text = strings.ReplaceAll(text[2:], "\x00", "")
	}
	text = strings.ToLower(strings.TrimSpace(text))
	has := func(starts ...string) bool {
		for _, s := range starts {
			if strings.HasPrefix(text, s) {
				return true
			}
		}
		return false
	}
	switch {
	case has("<svg"), has("<?xml", "<!--", "<!doctype svg") && strings.Contains(text, "<svg"):
		return "an SVG drawing"
	case has("<!doctype html", "<html", "<head", "<body", "<script", "<meta"), has("<?xml", "<!--") && strings.Contains(text, "<html"):
		return "a web page, not an image"
	case has("<?xml", "<error", "<!doctype"):
		return "an XML document, perhaps a server's error, not an image"
	case has("{", "[") && isText(text):
		return "JSON, perhaps a server's answer, not an image"
	case isText(text):
		return "text, not an image"
	}
	return ""
}

// isText reports whether there is nothing but text.
func isText(s string) bool {
	for i, r := range s {
		if r < ' ' && !strings.ContainsRune("\t\r\n\f", r) || r == 0x7f || r == utf8.RuneError && i < len(s)-utf8.UTFMax {
			return false
		}
	}
	return s != ""
}

func isPCX(head []byte) bool {
	return head[0] == 10 && head[1] <= 5 && head[2] <= 1 && bytes.IndexByte([]byte{1, 2, 4, 8}, head[3]) >= 0 &&
		len(head) >= 70 && head[64] == 0
}

// isTGA tells by the few values that its header may have.
func isTGA(head []byte) bool {
	if len(head) < 18 || head[1] > 1 || bytes.IndexByte([]byte{1, 2, 3, 9, 10, 11}, head[2]) < 0 ||
		bytes.IndexByte([]byte{8, 15, 16, 24, 32}, head[16]) < 0 {
		return false
	}
	u16 := binary.LittleEndian.Uint16
	if head[1] == 0 && len(bytes.Trim(head[3:8], "\x00")) > 0 {
		return false
	}
	return u16(head[12:]) > 0 && u16(head[14:]) > 0 && head[17]&0xc0 == 0 && (head[1] == 1) == (head[2]&7 == 1)
}
