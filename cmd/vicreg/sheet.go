package main

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"path/filepath"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
	"vicreg/internal/index"
	"vicreg/internal/show"
)

//go:embed sheet.html
var sheetText string

var sheetPage = template.Must(template.New("sheet").Parse(sheetText))

// sheetMark is in every contact sheet.
const sheetMark = `<meta name="generator" content="vicreg search">`

// contactSheet is the kind of the pages that vicreg search writes.
var contactSheet = kind{"a contact sheet that vicreg search wrote", func(path string) bool { return begins(path, sheetMark) }}

// begins reports whether a mark is at the beginning of a file.
func begins(path, mark string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := f.Read(head)
	return bytes.Contains(head[:n], []byte(mark))
}

// thumbnail is the longer side of an image on a contact sheet, in pixels: twice what is
// shown, for screens of high density.
const thumbnail = 240

// pictured is an image on the sheet. URL is empty if it cannot be read.
type pictured struct {
	likeness
	URL   template.URL
	Score string
}

// writeSheet writes a contact sheet, and returns notes on images that are not there.
func writeSheet(path string, all []answer, x *vicreg.Index) ([]string, error) {
	type row struct {
		Query   pictured
		Matches []pictured
	}
	var page struct {
		Title  string
		Model  string
		Images int
		Rows   []row
	}
	info := x.Info()
	page.Title, page.Model, page.Images = "Nearest images", info.Model, info.Images
	if len(all) == 1 {
		page.Title = "Images like " + filepath.Base(all[0].Query)
	}
	seen := map[int]template.URL{}
	missing := map[int]error{}
	first := -1
	for _, a := range all {
		r := row{Query: pictured{likeness: likeness{Name: a.Query}}}
		if m, err := imagefile.Read(filepath.FromSlash(a.Query), imagefile.Limits{}); err == nil {
			if b, err := index.Thumbnail(m, thumbnail); err == nil {
				r.Query.URL = jpegURL(b)
			}
		}
		for _, m := range a.Matches {
			url, ok := seen[m.Item]
			if !ok && missing[m.Item] == nil {
				b, err := x.Thumbnail(m.Item, thumbnail)
				if err != nil {
					missing[m.Item] = err
					if first < 0 {
						first = m.Item
					}
				} else {
					url = jpegURL(b)
				}
				seen[m.Item] = url
			}
			r.Matches = append(r.Matches, pictured{m, url, fmt.Sprintf("%.4f", m.Cosine)})
		}
		page.Rows = append(page.Rows, r)
	}
	var notes []string
	if len(missing) > 0 {
		notes = append(notes, fmt.Sprintf("%s not in the contact sheet, as the images are no longer where they were when the index was made: %s",
			show.Plural(len(missing), "picture is", "pictures are"), missing[first]))
	}
	var b bytes.Buffer
	if err := sheetPage.Execute(&b, page); err != nil {
		return nil, err
	}
	return notes, durable.WriteFile(path, b.Bytes())
}

func jpegURL(b []byte) template.URL {
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b))
}
