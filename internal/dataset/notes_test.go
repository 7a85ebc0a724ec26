package dataset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// many returns n names made of a pattern with one %d.
func many(n int, pattern string) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(pattern, i))
	}
	return names
}

// under puts names below a folder.
func under(dir string, names []string) []string {
	var list []string
	for _, name := range names {
		list = append(list, dir+name)
	}
	return list
}

// Whatever is left out or guessed is named once; what cannot score is an error
// or named.
func TestNothingIsLeftOutInSilence(t *testing.T) {
	cat := slices.Concat(many(3, "train/cat/%d.jpg"), many(3, "train/dog/%d.jpg"))
	both := slices.Concat(cat, many(2, "test/cat/%d.jpg"), many(2, "test/dog/%d.jpg"))
	classes := slices.Concat(many(3, "cat/%d.jpg"), many(3, "dog/%d.jpg"))
	for _, c := range []struct {
		name        string
		files       []string
		options     Options
		train, test int      // test -1: none
		want        []string // notes, each a part of one; all of them
		err         string
	}{
		{"other files", slices.Concat(many(10, "%d.jpg"), many(30, "%d.HEIC"), []string{"p.ppm", "noending"}), Options{}, 10, -1,
			[]string{"32 other files not read: 30 .heic, 1 without an ending, 1 .ppm"}, ""},
		{"one other file", []string{"1.jpg", "a.txt"}, Options{}, 1, -1, []string{"1 other file not read: 1 .txt"}, ""},
		{"other files everywhere", slices.Concat(both, []string{"train/cat/x.heic", "test/y.heic", "z.csv", "docs/z.csv"}), Options{}, 6, 4,
			[]string{"4 other files not read: 2 .csv, 2 .heic"}, ""},
		{"hidden and of the system", slices.Concat(classes, []string{"Thumbs.db", "cat/desktop.ini", ".DS_Store", "cat/._1.jpg", "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
			"cat/@eaDir/1.jpg", "#recycle/9.jpg", "@Recycle/9.jpg", "lost+found/9.jpg", ".Trash-1000/files/9.jpg", ".Trashes/9.jpg", "$RECYCLE.BIN/9.jpg",
			"System Volume Information/9.jpg", "@tmp/9.jpg", "#snapshot/9.jpg", "__MACOSX/cat/1.jpg", ".thumbnails/9.jpg", ".@__thumb/9.jpg"}), Options{Holdout: 0.34}, 4, 2, nil, ""},
		{"placeholders", slices.Concat(many(5, "%d.jpg"), many(20, ".IMG_%d.jpg.icloud"), []string{".a.HEIC.icloud", ".icloud", "x.jpg.crdownload", "y.JPG.part", "z.png.nextcloud", "b.icloud", "c.part", ".hidden.jpg"}), Options{}, 5, -1,
			[]string{"2 other files not read: 1 .icloud, 1 .part", "24 pictures are not here, as they were not downloaded or not to their end: 21 .icloud, 1 .crdownload, 1 .nextcloud, 1 .part"}, ""},
		{"a test set of placeholders", slices.Concat(cat, many(3, "test/cat/.%d.jpg.icloud")), Options{}, 0, 0, nil, "ROOT/test: no JPEG, PNG, GIF, BMP, TIFF or WebP images here, only other files (3 .icloud (not downloaded)); so nothing"},
		{"deleted", slices.Concat(classes, []string{"LOST.DIR/1.jpg", "@sharebin/1.jpg", "cat/$Recycle.Bin/1.jpg", "FOUND.000/1.jpg", ".trash/1.jpg", ".Trash-1/1.jpg"}), Options{Holdout: 0.34}, 4, 2, nil, ""},
		{"deleted, or classes", slices.Concat(classes, many(3, "RECYCLER/%d.jpg"), many(2, "Recycled/S-1/%d.jpg"),
			many(3, "recycled/%d.jpg")), Options{Holdout: 0.34}, 6, 3, []string{"2 folders of deleted files are not read: RECYCLER, Recycled; images in a folder of another name are"}, ""},
		{"broken link", []string{"1.jpg", "more -> nowhere"}, Options{}, 1, -1, []string{"1 other file not read: 1 broken link"}, ""},
		{"links", []string{"a/1.jpg", "a/self -> .", "a/up -> ../..", "b -> a"}, Options{}, 1, -1, []string{"3 links not followed, as the folder is listed already or lies above: a/self, a/up, b"}, ""},

		{"unlabeled", slices.Concat(both, many(40, "unlabeled/%d.jpg"), []string{"top.png"}), Options{}, 46, 4,
			[]string{"unlabeled/ (40 images) belongs to the part that trains, without labels", "1 image outside train/, unlabeled/ and test/ is not used: top.png"}, ""},
		{"unlabelled, in folders", slices.Concat(both, many(4, "Unlabelled/x/%d.jpg")), Options{}, 10, 4, []string{"Unlabelled/ (4 images) belongs to"}, ""},
		{"unlabeled without labels", slices.Concat(many(3, "train/%d.jpg"), many(4, "unlabeled/%d.jpg")), Options{}, 7, -1, []string{"unlabeled/ (4 images) belongs to"}, ""},
		{"unlabeled without a test set", slices.Concat(cat, many(4, "unlabeled/%d.jpg")), Options{Holdout: 0.34}, 8, 2, []string{"unlabeled/ (4 images) belongs to"}, ""},
		{"outside", slices.Concat(both, many(40, "extra/x/%d.jpg"), []string{"top.png"}), Options{}, 6, 4,
			[]string{"41 images outside train/ and test/ are not used: 40 in extra/, 1 at the top"}, ""},
		{"two test sets", slices.Concat(both, many(3, "val/cat/%d.jpg")), Options{}, 6, 4, []string{"val/ (3 images) is not used, as test/ scores"}, ""},
		{"two test sets, one flat", slices.Concat(cat, many(3, "val/cat/%d.jpg"), many(5, "test/%d.jpg")), Options{}, 6, 3,
			[]string{"val/ has no images of 1 of 2 classes: dog", "test/ (5 images) is not used, as val/ scores"}, ""},
		{"three names of one", slices.Concat(both, many(3, "TEST/cat/%d.jpg"), many(3, "Training/dog/%d.jpg")), Options{}, 6, 4, []string{"TEST/ (3 images) is not used, as test/ scores", "3 images outside train/, test/ and TEST/ are not used: 3 in Training/"}, ""},
		{"labels not taken", slices.Concat(both, many(3, "val/cat/%d.jpg")), Options{Labels: "none"}, 6, -1, []string{"test/ (4 images) and val/ (3 images) are not used, as labels are not taken"}, ""},
		{"flat both", slices.Concat(many(3, "train/%d.jpg"), many(4, "val/%d.jpg")), Options{Holdout: 0.3}, 3, -1, []string{"val/ (4 images) is not used, as there are no labels to score with"}, ""},
		{"one folder in both", slices.Concat(many(3, "train/images/%d.jpg"), many(4, "valid/images/%d.jpg")), Options{Holdout: 0.3}, 3, -1, []string{"valid/ (4 images) is not used"}, ""},
		{"names of other tools", slices.Concat(many(3, "training_set/cat/%d.jpg"), many(3, "training_set/dog/%d.jpg"), many(4, "test_set/dog/%d.jpg")), Options{}, 6, 4, []string{"test_set/ has no images of 1 of 2"}, ""},
		{"COCO", slices.Concat(many(3, "train2017/%d.jpg"), many(4, "val2017/%d.jpg"), many(2, "unlabeled2017/%d.jpg")), Options{}, 5, -1, []string{"val2017/ (4 images) is not used", "unlabeled2017/ (2 images) belongs to"}, ""},

		{"stray in test", slices.Concat(both, []string{"test/confusion_matrix.png"}), Options{Holdout: 0.2}, 6, 4,
			[]string{"1 image lies directly in test/ and is left out: confusion_matrix.png"}, ""},
		{"stray in train", slices.Concat(both, []string{"train/cover.png"}), Options{Holdout: 0.2}, 7, 4, []string{"1 image lies directly in train/ and has no label: cover.png"}, ""},
		{"stray in test, by folders", slices.Concat(both, []string{"test/a.png", "test/b.png"}), Options{Labels: "folders"}, 6, 4, []string{"2 images lie directly in test/ and are left out: a.png, b.png"}, ""},
		{"empty test", slices.Concat(cat, []string{"test/"}), Options{Holdout: 0.34}, 4, 2, []string{"test/ is empty, so it does not score"}, ""},

		{"case of classes", slices.Concat(many(3, "train/Cat/%d.jpg"), many(3, "train/Dog/%d.jpg"), many(3, "test/cat/%d.jpg")), Options{Holdout: 0.2}, 0, 0, nil,
			"test/cat: there is no class of this name in ROOT/train, but Cat; name the class folders alike in both; --labels none trains without scores, and ROOT/train alone as --data holds out a share of it"},
		{"spelling of classes", slices.Concat(many(3, "train/polar bear/%d.jpg"), many(3, "train/dog/%d.jpg"), many(3, "test/polar_bear/%d.jpg")), Options{Holdout: 0.2}, 0, 0, nil, "but polar bear;"},
		{"other classes", slices.Concat(cat, many(3, "test/n01440764/%d.jpg")), Options{}, 0, 0, nil, "test/n01440764: there is no class of this name in ROOT/train, which has cat, dog;"},
		{"flat val", slices.Concat(cat, many(12, "val/%d.jpg")), Options{Holdout: 0.2}, 0, 0, nil,
			"ROOT/val: 12 images lie in no class folders, while those of ROOT/train lie in folders of classes (cat, dog); sort the images to score on alike; --labels none trains"},
		{"flat val, none", slices.Concat(cat, many(12, "val/%d.jpg")), Options{Labels: "none"}, 6, -1, []string{"val/ (12 images) is not used"}, ""},
		{"one folder in val", slices.Concat(cat, many(12, "val/images/%d.jpg")), Options{}, 0, 0, nil, "val/images: there is no class of this name"},
		{"flat train", slices.Concat(many(3, "train/%d.jpg"), many(3, "test/cat/%d.jpg"), many(3, "test/dog/%d.jpg")), Options{}, 0, 0, nil,
			"ROOT/train: its images lie in no class folders, while those of ROOT/test lie in folders of classes (cat, dog)"},
		{"one folder in train", slices.Concat(many(3, "train/x/%d.jpg"), many(3, "test/cat/%d.jpg"), many(3, "test/dog/%d.jpg")), Options{}, 0, 0, nil, "its images all lie in one folder (x)"},
		{"test of other files", slices.Concat(cat, many(3, "test/cat/%d.heic")), Options{Holdout: 0.2}, 0, 0, nil,
			"ROOT/test: no JPEG, PNG, GIF, BMP, TIFF or WebP images here, only other files (3 .heic); so nothing is there to score on; --labels none"},
		{"train of other files", slices.Concat(many(3, "train/cat/%d.heic"), many(3, "test/cat/%d.jpg")), Options{}, 0, 0, nil, "ROOT/train: no JPEG"},
		{"flat val, by folders", slices.Concat(cat, many(12, "val/%d.jpg")), Options{Labels: "folders"}, 0, 0, nil, "ROOT/val: 12 images lie in no class folders"},

		{"stray at the top", slices.Concat(classes, []string{"cover.jpg"}), Options{Holdout: 0.2}, 7, -1, []string{"are not taken for classes, as 1 image lies in none (cover.jpg)"}, ""},
		{"years", slices.Concat(many(3, "2019/01/%d.jpg"), many(3, "2020/02/%d.jpg")), Options{Holdout: 0.2}, 6, -1, []string{"are not taken for classes, as there are folders in them; --labels folders takes"}, ""},
		{"years, none", slices.Concat(many(3, "2019/01/%d.jpg"), many(3, "2020/02/%d.jpg")), Options{Labels: "none"}, 6, -1, nil, ""},
		{"few of each", []string{"a/1.jpg", "b/1.jpg", "c/1.jpg"}, Options{Holdout: 0.2}, 3, -1, []string{"as there are 3 images in 3 of them; --labels folders takes them"}, ""},
		{"test without train", slices.Concat(classes, many(3, "test/%d.jpg")), Options{Holdout: 0.34}, 6, 3, []string{"are taken for classes, test/ too; --labels none takes no labels"}, ""},
		{"test without train, deep", slices.Concat(classes, many(3, "test/cat/%d.jpg")), Options{Holdout: 0.34}, 9, -1,
			[]string{"as there are folders in them", "test/ is treated like any other folder: only train/ and test/ (or val/) side by side are parts"}, ""},
		{"single images", slices.Concat(classes, []string{"emu/1.jpg"}), Options{Holdout: 0.34}, 5, 2, []string{"1 class has one image, so none is held out to score on: emu"}, ""},
		{"nothing but single images", []string{"a/1.jpg", "b/1.jpg"}, Options{Labels: "folders", Holdout: 0.5}, 2, -1, []string{"2 classes have one image, so none is held out to score on: a, b"}, ""},
		{"wrapped", slices.Concat(under("archive/", both), []string{"README.txt"}), Options{}, 6, 4,
			[]string{"1 other file not read: 1 .txt", "the images of ROOT all lie in archive/, whose folders are taken for parts"}, ""},
		{"wrapped twice, of a zip of macOS", slices.Concat(under("a/My Data/", both), []string{"__MACOSX/a/1.jpg"}, many(2, "a/My Data/more/%d.jpg")), Options{}, 6, 4,
			[]string{"all lie in a/My Data/, whose folders", "2 images outside train/ and test/ are not used: 2 in more/"}, ""},
		{"YOLO", slices.Concat(many(3, "images/train/%d.jpg"), many(2, "images/val/%d.jpg"), many(3, "labels/train/%d.txt"), many(2, "labels/val/%d.txt")), Options{}, 3, -1,
			[]string{"5 other files not read", "all lie in images/, whose folders are taken for parts", "val/ (2 images) is not used"}, ""},
		{"wrapped, no labels", slices.Concat(under("archive/", both)), Options{Labels: "none"}, 6, -1, []string{"taken for parts", "test/ (4 images) is not used, as labels are not taken"}, ""},
		{"wrapped classes", under("PetImages/", classes), Options{Holdout: 0.34}, 4, 2, []string{"all lie in PetImages/, whose folders are taken for classes"}, ""},
		{"wrapped classes, by folders", under("PetImages/", classes), Options{Labels: "folders", Holdout: 0.34}, 4, 2, []string{"taken for classes"}, ""},
		{"wrapped classes and a stray", slices.Concat(under("PetImages/", classes), []string{"PetImages/1.jpg"}), Options{}, 7, -1, []string{"the sub-folders of ROOT/PetImages are not taken for classes, as 1 image lies in none"}, ""},
		{"wrapped photos", many(6, "a/b/%d.jpg"), Options{}, 6, -1, nil, ""},
		{"wrapped in train", under("train/", both), Options{}, 6, 4, []string{"all lie in train/, whose folders are taken for parts"}, ""},
		{"wrapped, test empty", slices.Concat(under("x/", cat), []string{"x/test/"}), Options{}, 6, -1, []string{"all lie in x/", "test/ is empty, so it does not score"}, ""},
		{"parts wrapped each", slices.Concat(many(3, "train/train/cat/%d.jpg"), many(3, "train/train/dog/%d.jpg"), many(3, "test/test/dog/%d.jpg")), Options{}, 6, 3, []string{"test/test/ has no images of 1 of 2 classes: cat"}, ""},
		{"parts in images/", slices.Concat(under("train/images/", classes), under("val/images/", classes)), Options{}, 6, 6, nil, ""},
		{"parts of each kind", slices.Concat(many(3, "bottle/train/good/%d.png"), many(3, "bottle/test/bad/%d.png"), many(3, "cable/train/good/%d.png"), many(3, "cable/test/bad/%d.png")), Options{}, 12, -1,
			[]string{"as there are folders in them", "bottle/train/ and bottle/test/, cable/train/ and cable/test/ look like what trains and what scores, but all of them train, as other images lie beside; --data ROOT/bottle takes"}, ""},
		{"parts and a picture beside", slices.Concat(under("archive/", both), []string{"logo.png"}), Options{}, 11, -1, []string{"archive/train/ and archive/test/ look like what trains and what scores"}, ""},

		{"names with train and test", slices.Concat(under("seg_train/seg_train/", classes), under("seg_test/seg_test/", classes), many(5, "seg_pred/seg_pred/%d.jpg")), Options{}, 6, 6,
			[]string{"5 images outside seg_train/ and seg_test/ are not used: 5 in seg_pred/"}, ""},
		{"names with train and test, by folders", slices.Concat(under("seg_train/seg_train/", classes), under("seg_test/seg_test/", classes)), Options{Labels: "folders"}, 6, 6, nil, ""},
		{"names with train and valid", slices.Concat(many(4, "DIV2K_train_HR/%d.png"), many(3, "DIV2K_valid_HR/%d.png")), Options{}, 4, -1, []string{"DIV2K_valid_HR/ (3 images) is not used, as there are no labels"}, ""},
		{"Market", slices.Concat(many(4, "bounding_box_train/%d.jpg"), many(3, "bounding_box_test/%d.jpg"), many(2, "query/%d.jpg")), Options{}, 4, -1,
			[]string{"bounding_box_test/ (3 images) is not used", "2 images outside bounding_box_train/ and bounding_box_test/ are not used: 2 in query/"}, ""},
		{"two that train", slices.Concat(many(3, "trainA/%d.jpg"), many(3, "trainB/%d.jpg"), many(3, "testA/%d.jpg"), many(3, "testB/%d.jpg")), Options{}, 12, -1,
			[]string{"trainA/, trainB/, testA/, testB/ have the names of parts that train or score, so the sub-folders of ROOT are not taken for classes, and all of them train; give the one to train on, such as --data ROOT/trainA, or --labels folders"}, ""},
		{"two that train, without labels", slices.Concat(many(3, "trainA/%d.jpg"), many(3, "trainB/%d.jpg"), many(3, "testA/%d.jpg")), Options{Labels: "none"}, 9, -1, []string{"and all of them train"}, ""},
		{"two that train, by folders", slices.Concat(many(3, "trainA/%d.jpg"), many(3, "trainB/%d.jpg"), many(3, "testA/%d.jpg")), Options{Labels: "folders"}, 9, -1, []string{"trainA/, trainB/, testA/ have the names of parts that train or score, and are taken for classes"}, ""},
		{"a test beside its like", slices.Concat(many(3, "faces/%d.jpg"), many(3, "faces_test/%d.jpg")), Options{}, 6, -1, []string{"faces_test/ has the name of parts that train or score, so the sub-folders of ROOT are not taken for classes, and all of them train; give the one to train on, or"}, ""},
		{"tests of other names", slices.Concat(many(3, "train/cat/%d.jpg"), many(3, "train/dog/%d.jpg"), many(3, "test_A/dog/%d.jpg"), many(3, "test_B/dog/%d.jpg")), Options{}, 6, 3, []string{"test_A/ has no images of", "test_B/ (3 images) is not used, as test_A/ scores"}, ""},
		{"VOC", slices.Concat(under("trainval/", classes), under("test/", classes)), Options{}, 6, 6, nil, ""},
		{"classes with such words", slices.Concat(many(3, "bullet train/%d.jpg"), many(3, "test tube/%d.jpg"), many(3, "valley/%d.jpg"), many(3, "contest/%d.jpg")), Options{Holdout: 0.34}, 8, 4, nil, ""},

		{"case of classes, val scores", slices.Concat(many(3, "train/a/%d.jpg"), many(3, "train/b/%d.jpg"),
			many(3, "test/A/%d.jpg"), many(3, "test/B/%d.jpg"), many(2, "val/a/%d.jpg"), many(2, "val/b/%d.jpg")), Options{}, 6, 4,
			[]string{"test/ (6 images) is not used, as val/ scores; test/ cannot, as there is no class A in train/, but a"}, ""},
		{"other files in test, val scores", slices.Concat(cat, many(3, "test/cat/%d.heic"), many(2, "val/cat/%d.jpg"), many(2, "val/dog/%d.jpg")), Options{}, 6, 4, []string{"3 other files not read", "test/ holds only other files, so it does not score"}, ""},
		{"test empty, val scores", slices.Concat(cat, []string{"test/"}, many(2, "val/cat/%d.jpg"), many(2, "val/dog/%d.jpg")), Options{}, 6, 4, []string{"test/ is empty, so it does not score"}, ""},
		{"Unicode forms", slices.Concat(many(3, "train/caf\u00e9/%d.jpg"), many(3, "train/dog/%d.jpg"), many(3, "test/cafe\u0301/%d.jpg"), many(2, "test/dog/%d.jpg")), Options{}, 6, 5,
			[]string{"folders whose names differ in Unicode form only (composed or not) are taken for one class: caf\u00e9"}, ""},
		{"Unicode forms side by side", slices.Concat(many(3, "caf\u00e9/%d.jpg"), many(3, "dog/%d.jpg"), many(3, "cafe\u0301/%d.jpg")), Options{}, 9, -1, []string{"are taken for one class: caf\u00e9"}, ""},
		{"Unicode forms of one class", slices.Concat(many(3, "train/caf\u00e9/x/%d.jpg"), many(3, "train/cafe\u0301/y/%d.jpg"), many(3, "test/dog/%d.jpg")), Options{}, 6, -1, []string{"test/ (3 images) is not used"}, ""},
		{"Unicode form alone", slices.Concat(many(3, "train/cafe\u0301/%d.jpg"), many(3, "train/dog/%d.jpg"), many(3, "test/cafe\u0301/%d.jpg")), Options{}, 6, 3, []string{"no images of 1 of 2"}, ""},
		{"control characters", slices.Concat(both, []string{"a\nb\x1b[2J.jpg", "x.a\tb"}), Options{}, 6, 4, []string{`1 other file not read: 1 .a\tb`, `is not used: "a\nb\x1b[2J.jpg"`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.files...)
			train, test, err := Open(root, c.options)
			if c.err != "" {
				if want := strings.ReplaceAll(c.err, "ROOT", root); err == nil ||
					!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v\nwant ... %s", err, want)
				}
				if all, err := OpenAll(root, c.options); err == nil {
					if n := imagesAmong(c.files); len(all.Items) != n {
						t.Errorf("%d of %d images are embedded", len(all.Items), n)
					}
				} else if !strings.Contains(c.err, "train: no JPEG") {
					t.Errorf("nothing is embedded: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			n := -1
			if test != nil {
				n = len(test.Items)
			}
			if len(train.Items) != c.train || n != c.test {
				t.Errorf("%d train, %d score, want %d and %d", len(train.Items), n, c.train, c.test)
			}
			for _, want := range c.want {
				want = strings.ReplaceAll(want, "ROOT", root)
				if !slices.ContainsFunc(train.Notes, func(note string) bool { return strings.Contains(note, want) }) {
					t.Errorf("no note %q", want)
				}
			}
			if len(train.Notes) != len(c.want) || strings.ContainsAny(strings.Join(train.Notes, ""), "\n\x1b") {
				t.Errorf("notes %q", train.Notes)
			}
		})
	}
}

// imagesAmong counts the images among the files of a tree.
func imagesAmong(files []string) int {
	n := 0
	for _, f := range files {
		if isImage(f) {
			n++
		}
	}
	return n
}
