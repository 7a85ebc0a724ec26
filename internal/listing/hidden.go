package listing

import (
	"slices"
	"strings"
)

// system are names, in lower case, of what systems leave beside the user's files.
var system = []string{
	"__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r",
	"@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "~snapshot",
	"lost+found", "lost.dir", "$recycle.bin", "@sharebin", "network recycle bin", "system volume information",
	"network trash folder", "temporary items",
}

// Hidden reports whether a file or folder is none of the user's own, by its name: one that begins
// with a dot, or one that systems make.
func Hidden(name string) bool {
	lower := strings.ToLower(name)
	found, ok := strings.CutPrefix(lower, "found.") // what Windows saves of broken disks
	return strings.HasPrefix(name, ".") || slices.Contains(system, lower) ||
		ok && len(found) == 3 && strings.Trim(found, "0123456789") == ""
}
