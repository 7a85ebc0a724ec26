package dataset

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// randomTree returns names of files in folders that people make: parts of data
// sets, classes, what machines leave behind, and images and other files at any
// place. It also says how many images there are and how many other files.
func randomTree(r *rand.Rand) (files []string, images, others int) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	seen := map[string]bool{}
	add := func(dir string) {
		for range r.IntN(4) {
			name := dir + fmt.Sprintf("%d", r.IntN(6)) + pick(".jpg", ".JPEG", ".png", ".heic", ".txt", "", ".tif")
			if seen[name] {
				continue
			}
			seen[name] = true
			files = append(files, name)
			switch {
			case strings.Contains("/"+strings.ToLower(name), "/@eadir/") || strings.Contains("/"+name, "/."):
			case isImage(name):
				images++
			default:
				others++
			}
		}
	}
	class := func() string { return pick("cat/", "dog/", "Cat/", "emu/", "x/y/", "@eaDir/", ".git/") }
	wrap := pick("", "", "archive/", "x/y z/")
	if r.IntN(3) == 0 {
		add("")
	}
	for range r.IntN(6) {
		part := pick("train/", "train/", "test/", "test/", "val/", "Test/", "validation/", "unlabeled/", "extra/", "@eaDir/", "training_set/", "seg_train/", "seg_test/", "trainA/", "train/a/test/", "cat/", "")
		if wrap != "" {
			part = wrap + part
		}
		if r.IntN(3) == 0 {
			add(part)
		}
		for range r.IntN(4) {
			add(part + class())
		}
	}
	return files, images, others
}

var numbers = regexp.MustCompile(`(\d+) images?\b`)

// labelsFor writes a file of labels for some of the images, with or without what
// trains and what scores.
func labelsFor(r *rand.Rand, t *testing.T, root string, files []string) string {
	header, split := "path,label", r.IntN(2) == 0
	if split {
		header += ",split"
	}
	lines := []string{header}
	for _, f := range files {
		if !isImage(f) || r.IntN(4) == 0 {
			continue
		}
		line := fmt.Sprintf("%s,%s", f, []string{"a", "b", "c", ""}[r.IntN(4)])
		if split {
			line += []string{",train", ",train", ",test", ",val"}[r.IntN(4)]
		}
		lines = append(lines, line)
	}
	file := root + ".csv"
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// Every file of any tree trains, scores, or is counted in a note, once.
func TestEveryFileIsAccountedFor(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	base := t.TempDir()
	outcomes := map[string]int{}
	for trial := range 150 {
		files, n, others := randomTree(r)
		if n == 0 {
			continue
		}
		root := filepath.Join(base, fmt.Sprint(trial))
		for _, f := range files {
			path := filepath.Join(root, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		file := labelsFor(r, t, root, files)
		for _, labels := range []string{"auto", "none", "folders", "leaf", "{label}.*", file} {
			o := Options{Labels: labels, Holdout: 0.3}
			describe := func() string { return fmt.Sprintf("labels %s of %q", labels, files) }
			train, test, err := Open(root, o)
			switch {
			case err != nil:
				outcomes["refused"]++
				if labels == "none" && !strings.Contains(err.Error(), "images here, only other files") && !strings.Contains(err.Error(), "the folder is empty") {
					t.Errorf("%s: %v", describe(), err)
				}
				if about := labels == "leaf" || labels == file || strings.Contains(labels,
					"{"); strings.Count(err.Error(), "\n") > 0 || !about && !strings.HasPrefix(err.Error(), root) {
					t.Errorf("%s: %v", describe(), err)
				}
			default:
				used := len(train.Items)
				if test != nil {
					used += len(test.Items)
					outcomes["scored"]++
					if labels == file {
						outcomes["scored as a file says"]++
					}
					for _, item := range test.Items {
						if item.Label < 0 {
							t.Errorf("%s: %s scores without a label", describe(), item.Name)
						}
					}
				}
				left, read := 0, 0
				for _, note := range train.Notes {
					switch found := numbers.FindAllStringSubmatch(note, -1); {
					case strings.Contains(note, "not read"):
						read, _ = strconv.Atoi(strings.Fields(note)[0])
					case strings.Contains(note, "outside") || strings.Contains(note, "left out"):
						k, _ := strconv.Atoi(found[0][1])
						left += k
					case strings.Contains(note, "not used"):
						for _, f := range found {
							k, _ := strconv.Atoi(f[1])
							left += k
						}
					}
				}
				if used+left != n || read != others {
					t.Errorf("%s: %d used and %d left out of %d images, %d of %d others; notes %q", describe(), used, left, n, read, others, train.Notes)
				}
				if left > 0 {
					outcomes["left out"]++
				}
			}
			all, err := OpenAll(root, o)
			if err != nil {
				if (labels == "auto" || labels == "none") &&
					!strings.Contains(err.Error(), "images here, only other files") && !strings.Contains(err.Error(), "the folder is empty") {
					t.Errorf("%s: %v", describe(), err)
				}
				continue
			}
			names := map[string]bool{}
			for _, item := range all.Items {
				if names[item.Name] || item.Path != filepath.Join(root, item.Name) {
					t.Errorf("%s: %s at %s", describe(), item.Name, item.Path)
				}
				names[item.Name] = true
			}
			if len(names) != n {
				t.Errorf("%s: %d of %d images are embedded", describe(), len(names), n)
			}
		}
	}
	for _, what := range []string{"refused", "scored", "scored as a file says", "left out"} {
		if outcomes[what] < 10 {
			t.Errorf("%s: %d times only", what, outcomes[what])
		}
	}
	t.Log(outcomes)
}
