package dataset

import (
	"os"
	"path/filepath"
	"strings"
)

// Place returns the file or folder that spec names, "" if it is built in.
func Place(spec string) string {
	switch strings.ToLower(spec) {
	case "", "sample":
		return ""
	case "fashion-mnist", "fashionmnist":
		if _, err := os.Stat(debianFolder); err == nil {
			return debianFolder
		}
	}
	if rest, ok := strings.CutPrefix(spec, "~"+string(filepath.Separator)); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return spec
}
