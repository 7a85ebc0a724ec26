package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A column of running numbers is not taken for that of the images, whose names are numbers.
func TestColumnOfImages(t *testing.T) {
	root := tree(t, "0.png", "1.png", "2.png", "3.png", "cat.png")
	right := "0.png=c 1.png=b 2.png=a 3.png=d cat.png | "
	rest := "1 of 5 images is in no row of l.csv and has no label: cat.png"
	dull := "2.png=a 3.png=b cat.png"
	for _, c := range []struct{ name, text, want string }{
		{"l.csv", "id,image,label\n0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: 1 column is not used: id; " + rest},
		{"l.csv", "id,image,label\n0,x/2.png,a\n1,y/1.png,b\n2,0.png,c\n3,z/3.png,d\n", "0.png=c 1.png 2.png 3.png cat.png | none | l.csv: 1 column is not used: id; " +
			"l.csv: 3 rows of 4 name no image of photos: x/2.png, y/1.png, z/3.png; 4 of 5 images are in no row of l.csv and have no label: 1.png, 2.png, 3.png and 1 more"},
		{"l.csv", ",foto,label\n0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: column foto is taken for paths and column label for labels; " + rest},
		{"l.csv", "Unnamed: 0,foto,label\n0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: column foto is taken for paths and column label for labels; l.csv: 1 column is not used: Unnamed: 0; " + rest},
		{"l.csv", "id,foto,label\n0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: column foto is taken for paths and column label for labels; l.csv: 1 column is not used: id; " + rest},
		{"l.csv", "label,nr,foto\na,0,2.png\nb,1,1.png\nc,2,0.png\nd,3,3.png\n", right + "none | l.csv: column foto is taken for paths and column label for labels; l.csv: 1 column is not used: nr; " + rest},
		{"l.csv", "0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: no header; column 2 is taken for paths and column 3 for labels, the other 1 is not used; " + rest},
		{"l.csv", "image_id,file_name,label\n0,2.png,a\n1,1.png,b\n2,0.png,c\n3,3.png,d\n", right + "none | l.csv: 1 column is not used: image_id; " + rest},
		{"l.csv", "image_id,id,label\n2,0,a\n1,1,b\n0,2,c\n3,3,d\n", right + "none | l.csv: 1 column is not used: id; " + rest},
		{"l.json", `[{"id": 0, "foto": "2.png", "label": "a"}, {"id": 1, "foto": "3.png", "label": "b"}]`,
			"0.png 1.png " + dull + " | none | l.json: column foto is taken for paths and column label for labels; l.json: 1 column is not used: id; 3 of 5 images are in no row of l.json and have no label: 0.png, 1.png, cat.png"},
		{"l.json", `[{"id": 2, "box": [1, 2], "label": "a"}, {"id": 3, "box": [1], "label": "b"}]`,
			"0.png 1.png " + dull + " | none | l.json: 1 column is not used: box; 3 of 5 images are in no row of l.json and have no label: 0.png, 1.png, cat.png"},

		// Names of files that are not of the data do not count.
		{"l.csv", "id,image,label\n2,/old/a.png,a\n3,/old/b.png,b\n", "0.png 1.png " + dull +
			" | none | l.csv: column id is taken for paths, as column image names no image; l.csv: 1 column is not used: image; 3 of 5 images are in no row of l.csv and have no label: 0.png, 1.png, cat.png"},
		// Nor does a word that is the name of an image.
		{"l.csv", "image,note,label\n2,see 3,a\n3,cat.png,b\n1,dark,b\n", "0.png 1.png=b " + dull +
			" | none | l.csv: 1 column is not used: note; 2 of 5 images are in no row of l.csv and have no label: 0.png, cat.png"},

		// A column without a name has a number.
		{"l.csv", ",label\n2,a\n3,b\n", "0.png 1.png " + dull + " | none | l.csv: column 1 (without a name) is taken for paths and column label for labels; " +
			"3 of 5 images are in no row of l.csv and have no label: 0.png, 1.png, cat.png"},
		{"l.csv", ",label\nx,a\ny,b\n", `l.csv: no row of column 1 (without a name) names an image of photos (the first is "x" in row 2); write paths below that folder, below the folder of l.csv, or names of files`},

		// y is the label, or a place.
		{"l.csv", "file,y,w\n2,a,1\n3,b,2\n", "0.png 1.png " + dull + " | none | l.csv: 1 column is not used: w; 3 of 5 images are in no row of l.csv and have no label: 0.png, 1.png, cat.png"},
		{"l.csv", "x,y\n2,a\n3,b\n", "0.png 1.png " + dull + " | none | l.csv: column x is taken for paths and column y for labels; 3 of 5 images are in no row of l.csv and have no label: 0.png, 1.png, cat.png"},
		{"l.csv", "file,x,y,kind\n2,7,8,a\n", "l.csv: which column holds the labels is not clear, of x, y, kind; call it label or class"},
		{"l.csv", "file,x,y,class\n2,7,8,a\n3,7,8,b\n", "0.png 1.png " + dull + " | none | l.csv: 2 columns are not used: x, y; 3 of 5 images are in no row of l.csv and have no label: 0.png, 1.png, cat.png"},

		// Nothing to choose by.
		{"l.csv", "image,path,label\n0.png,0.png,a\n1.png,2.png,b\n", `l.csv: row 3: columns path and image name two images, "2.png" and "1.png"; call the right one path, or leave the other out`},
		{"l.csv", "image,foto,label\n0,2.png,a\n", `l.csv: row 2: columns image and foto name two images, "0" and "2.png"; call the right one path, or leave the other out`},
		{"l.csv", "nr,width,label\n2,3,a\n", `l.csv: row 2: columns nr and width name two images, "2" and "3"; call the right one path, or leave the other out`},
		{"l.csv", "2,3\n3,1\n", `l.csv: row 1: columns 1 and 2 name two images, "2" and "3"; name the columns in a first row, as in path,label`},
	} {
		file := filepath.Join(filepath.Dir(root), c.name)
		if err := os.WriteFile(file, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := labelsOf(t, root, file, 0); got != c.want {
			t.Errorf("%s %q:\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
	}
}

// The table may be of many more images than there are.
func TestColumnOfFewImages(t *testing.T) {
	root := tree(t, "0.png", "1.png", "2.png")
	var text strings.Builder
	text.WriteString("id,foto,label\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "%d,%d.png,%d\n", i, (i+3400)%5000, i%3)
	}
	file := filepath.Join(filepath.Dir(root), "l.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := labelsOf(t, root, file, 0); !strings.HasPrefix(got, "0.png=1 1.png=2 2.png=0 | ") {
		t.Error(got)
	}
}

// Files of several labels an image find the column in the same way.
func TestColumnOfImagesOfSeveralLabels(t *testing.T) {
	for _, text := range []string{
		"id,image,cat,dog\n0,2.png,1,0\n1,1.png,0,1\n2,0.png,1,1\n",
		",image,cat,dog\n0,2.png,1,0\n1,1.png,0,1\n2,0.png,1,1\n",
		"id,foto,cat,dog\n0,2.png,1,0\n1,1.png,0,1\n2,0.png,1,1\n",
		"id,foto,x,y,cat,dog\n0,2.png,7,8,1,0\n1,1.png,7,8,0,1\n2,0.png,7,8,1,1\n",
		"id,image,labels\n0,2.png,cat\n1,1.png,dog\n2,0.png,cat;dog\n",
	} {
		train, _, err := several6(t, "l.csv", text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := fmt.Sprint(train.Classes, train.Marks["0.png"], train.Marks["1.png"], train.Marks["2.png"]); got != "[cat dog] [1 1] [0 1] [1 0]" {
			t.Errorf("%q: %s", text, got)
		}
	}
	_, _, err := several6(t, "l.csv", "file,path,cat,dog\n0.png,2.png,1,0\n")
	if want := "columns file and path name two images"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
