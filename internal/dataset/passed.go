package dataset

import (
	"path/filepath"
	"strings"
)

// bins are names of folders for deleted files. A class may have such a name too, so they
// are passed over with a note.
var bins = []string{"RECYCLER", "Recycler", "RECYCLED", "Recycled", "Recycle Bin", "Recycle.Bin", "trashbox"}

// absent ends the kind of a file that stands for one that is not here.
const absent = " (not downloaded)"

// placeholder returns the ending of a file that stands for a picture which is elsewhere
// or not completely downloaded; "" for other files.
func placeholder(name string) string {
	ending := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ending)
	switch ending = strings.ToLower(ending); ending {
	case ".icloud": // .IMG_1.jpg.icloud
		if original, ok := strings.CutPrefix(stem, "."); ok && filepath.Ext(original) != "" {
			return ending
		}
	case ".crdownload", ".part", ".partial", ".download", ".opdownload", ".filepart", ".nextcloud", ".owncloud", ".cloud", ".!qb", ".tmp":
		if isImage(stem) {
			return ending
		}
	}
	return ""
}
