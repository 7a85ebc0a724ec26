package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"vicreg/internal/show"
)

// mostBytes is the most that a table may hold.
const mostBytes = 1 << 30

// IsFile returns an error unless there is a file at path that can be read from
// beginning to end. Nothing is opened: a pipe would wait, a device never end.
func IsFile(path string) error {
	_, err := fileSize(path)
	return err
}

func fileSize(path string) (int64, error) {
	const longest = 4096 // bytes of a name, anywhere
	if len(path) > longest {
		return 0, fmt.Errorf("%s: a name of %d bytes, which no file has", Clip(path), len(path))
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("%s: there is no such file%s", show.Name(path), meant(path))
	case err != nil:
		return 0, plain(path, err)
	}
	what := ""
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return info.Size(), nil
	case mode.IsDir():
		what = "folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "named pipe"
	case mode&fs.ModeSocket != 0:
		what = "socket"
	default:
		what = "device"
	}
	return 0, fmt.Errorf("%s: this is a %s; a file is needed", show.Name(path), what)
}

// meant guesses why there is no file at path, in words that follow the message.
func meant(path string) string {
	there := func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular()
	}
	slashes := strings.ReplaceAll(path, `\`, "/")
	spelt, err := url.PathUnescape(path)
	switch {
	case strings.Contains(path, "file:/"):
		return "; give its path, without file:"
	case strings.Contains(path, "http:/"), strings.Contains(path, "https:/"), strings.Contains(path, "s3:/"), strings.Contains(path, "gs:/"):
		return "; this is an address: fetch what is there and give the path of the file"
	case strings.HasPrefix(path, "~"), strings.Contains(path, "/~"):
		return "; ~ stands for nothing here: give the whole path"
	case slashes != path && there(slashes):
		return `, but there is one with / for \: write it so`
	case err == nil && spelt != path && there(spelt):
		return ", but there is one with % and two digits read as a character: write it so"
	case strings.Contains(path, `"`), strings.Contains(path, "/'"), strings.Contains(filepath.Base(path), "'"):
		return "; the name holds a quote mark"
	}
	return ""
}

// ReadFile returns the contents of a file of at most so many bytes.
func ReadFile(path string, most int64) ([]byte, error) {
	size, err := fileSize(path)
	if err != nil {
		return nil, err
	}
	tooLarge := fmt.Errorf("%s: the file is larger than %d MB, the most that is read", show.Name(path), most>>20)
	if size > most {
		return nil, tooLarge
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, plain(path, err)
	}
	defer f.Close()
	raw := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := raw.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, plain(path, err)
	}
	if int64(raw.Len()) > most {
		return nil, tooLarge
	}
	return raw.Bytes(), nil
}

// foreign says from its first bytes what a file is that is not a table of text; empty if
// that is not known.
func foreign(raw []byte) string {
	for _, k := range []struct{ start, what string }{
		{"PK\x03\x04", "a zip archive, as a spreadsheet is: save it as CSV"},
		{"\xd0\xcf\x11\xe0", "an old spreadsheet: save it as CSV"},
		{"\x1f\x8b", "compressed by gzip: unpack it"},
		{"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it"},
		{"BZh", "compressed by bzip2: unpack it"},
		{"\xfd7zXZ", "compressed by xz: unpack it"},
		{"PAR1", "a Parquet file: write it as CSV"},
		{"ARROW1", "an Arrow file: write it as CSV"},
		{"SQLite format 3", "a database: export it as CSV"},
		{"\x93NUMPY", "a NumPy array"},
		{"\x89HDF", "an HDF5 file: write it as CSV"},
	} {
		if bytes.HasPrefix(raw, []byte(k.start)) {
			return k.what
		}
	}
	return ""
}

// Wide reports whether raw is UTF-16 text without a mark of it: every other byte
// of its beginning is zero.
func Wide(raw []byte) bool {
	start := raw[:min(len(raw), 200)&^1]
	var zeros [2]int
	for i, b := range start {
		if b == 0 {
			zeros[i%2]++
		}
	}
	least := min(zeros[0], zeros[1])
	return len(start) >= 8 && least == 0 && 10*(zeros[0]+zeros[1]) > 4*len(start)
}

// textOf returns the text of a table, or why it is none.
func textOf(raw []byte) ([]byte, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a byte order mark, as Excel writes it
	zero := bytes.IndexByte(raw, 0)
	switch what := foreign(raw); {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")), zero >= 0 && Wide(raw):
		return nil, errors.New("this is UTF-16 text; save it as UTF-8")
	case what != "" && (zero >= 0 || !utf8.Valid(raw)):
		return nil, fmt.Errorf("this is no text but %s", what)
	case zero >= 0:
		return nil, fmt.Errorf("this is no text (row %d holds a zero byte); give a CSV, TSV or JSON lines file with a header", 1+bytes.Count(raw[:zero], []byte("\n")))
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("row %d: this is not UTF-8 text; save the file as UTF-8", firstInvalid(raw))
	}
	return raw, nil
}

// firstInvalid returns the line of the first bytes that are not UTF-8.
func firstInvalid(raw []byte) int {
	line := 1
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		raw = raw[n:]
	}
	return line
}

// Clip prepares a cell for a message: in quotes, on one line, and only the beginning if
// it is long.
func Clip(cell string) string {
	const most = 60
	if len(cell) > 4*most+4 {
		cell = cell[:4*most+4] // more than are shown
	}
	if utf8.RuneCountInString(cell) > most {
		cell = string([]rune(cell)[:most-1]) + "…"
	}
	return fmt.Sprintf("%q", cell)
}

// plain words an error of the file system: the path once, and the reason.
func plain(path string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", show.Name(path), pe.Err)
	}
	return err
}
