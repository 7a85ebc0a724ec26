package imagefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is no picture that is read is called by its name, by Read as by Stat.
func TestKindsByName(t *testing.T) {
	pad := strings.Repeat("\x00", 200)
	utf16 := func(s string) string {
		return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00"
	}
	tga := "\x00\x00\x02" + pad[:9] + "\x10\x00\x10\x00\x18\x20" + pad
	for start, want := range map[string]string{
		"DDS \x7c\x00\x00\x00" + pad: "a texture (DDS)",
		"icns\x00\x00\x10\x00" + pad: "an icon of macOS (ICNS)",
		"\x0a\x05\x01\x08" + pad:     "a PCX picture",
		tga:                          "a TGA picture",
		"\x05\x01\x01\x00\x00\x00\x01\x18" + tga[8:]:             "a TGA picture",
		"\x00\x00\x0a" + tga[3:]:                                 "a TGA picture",
		"\x00\x00\x02\x00\x01\x00\x20\x20" + pad:                 "a mouse pointer",
		"\x00\x00\x01\x00\x01\x00\x20\x20" + pad:                 "an icon",
		"\x01\xda\x01\x01" + pad:                                 "an SGI picture",
		"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n":                   "a Radiance HDR picture",
		"#?RGBE\nFORMAT=32-bit_rle_rgbe\n":                       "a Radiance HDR picture",
		"P5\r\n2 2\r\n255\r\n" + pad:                             "a Netpbm picture",
		"P5# made by\n2 2 255\n" + pad:                           "a Netpbm picture",
		"P3 2 2 255 0 0 0 1 1 1":                                 "a Netpbm picture",
		"PF\n2 2\n-1.0\n" + pad:                                  "a Netpbm picture",
		pad[:4] + "ftypisom" + pad:                               "a video (MP4 or QuickTime)",
		pad[:4] + "ftypqt  " + pad:                               "a video (MP4 or QuickTime)",
		pad[:4] + "moov" + pad:                                   "a video (QuickTime)",
		pad[:4] + "ftypheic" + pad:                               "a HEIC picture",
		"PK\x03\x04" + pad:                                       "a ZIP archive; unpack it",
		"\x1f\x8b\x08" + pad:                                     "a file packed with gzip; unpack it",
		"version https://git-lfs.github.com/spec/v1\noid sha":    "a Git LFS pointer, not the picture; run git lfs pull",
		"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>":   "an XML document, perhaps a server's error",
		"<?xml version=\"1.0\"?>\n<!-- x -->\n<svg width=\"1\">": "an SVG drawing",
		"\xef\xbb\xbf<?xml version=\"1.0\"?><Error></Error>":     "an XML document",
		" {\"message\": \"not found\"}":                          "JSON, perhaps a server's answer",
		"[{\"error\": 1}, 2]":                                    "JSON, perhaps a server's answer",
		"\xef\xbb\xbf<!DOCTYPE html><html>":                      "a web page, not an image",
		utf16("<!DOCTYPE html><html>"):                           "a web page, not an image",
		"\r\n\r\n<HTML><head>":                                   "a web page, not an image",
		"no such picture, or no right to see it":                 "text, not an image",
		"kein Bild für Sie, leider auch später nicht":            "text, not an image",
		"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b":       "not an image",
	} {
		path := filepath.Join(t.TempDir(), "a.jpg")
		if err := os.WriteFile(path, []byte(start), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, Limits{})
		_, _, statErr := Stat(path, Limits{})
		for _, err := range []error{err, statErr} {
			if err == nil || !strings.HasPrefix(err.Error(), path+": "+want) {
				t.Errorf("%.40q: %v", start, err)
			}
		}
	}
}
