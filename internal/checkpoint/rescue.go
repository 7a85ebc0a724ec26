package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"vicreg/internal/durable"
)

// previous says whether the checkpoint before the one at path can take its place, and with
// which commands. What is at path is kept.
func previous(path string) string {
	s, err := whole(path + Suffix)
	switch {
	case durable.Unreadable(err) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf(", and the one before it, %s%s, cannot be read: %v", path, Suffix, durable.Reason(err))
	case err != nil:
		return ", and there is no whole one before it"
	}
	aside := ""
	if _, err := os.Lstat(path); err == nil {
		aside = fmt.Sprintf("mv %s %s; ", path, free(path+".damaged"))
	}
	return fmt.Sprintf("; the one before it, after step %d, is whole: %smv %s%s %[3]s", s.Steps, aside, path, Suffix)
}

// free returns name, with a number if that is taken.
func free(name string) string {
	for i, numbered := 2, name; ; i++ {
		if _, err := os.Lstat(numbered); err != nil {
			return numbered
		}
		numbered = fmt.Sprintf("%s%d", name, i)
	}
}

// cutShort compares the size of a safetensors file with what its header says.
func cutShort(path string) (size, want int64, ok bool) {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, false
	}
	return cut(f, st.Size())
}

// cut is cutShort of the size bytes that r holds.
func cut(r io.ReaderAt, size int64) (_, want int64, ok bool) {
	var lead [8]byte
	if size < int64(len(lead)) {
		return size, 8, true
	}
	if _, err := r.ReadAt(lead[:], 0); err != nil {
		return 0, 0, false
	}
	n := binary.LittleEndian.Uint64(lead[:])
	if n > 1<<24 { // more than any checkpoint has
		return 0, 0, false
	}
	header := make([]byte, min(int64(n), size-8))
	if _, err := r.ReadAt(header, 8); err != nil && err != io.EOF {
		return 0, 0, false
	}
	var entries map[string]struct {
		Offsets [2]int64 `json:"data_offsets"`
	}
	whole := json.NewDecoder(bytes.NewReader(header)).Decode(&entries) == nil
	if missing := int64(n) - int64(len(header)); missing > 0 {
		return size, int64(8 + n), !whole || missing < 8 // else its length is wrong, not the file
	}
	if !whole {
		return 0, 0, false
	}
	for _, e := range entries {
		want = max(want, e.Offsets[1])
	}
	want += int64(8 + n)
	return size, want, size < want
}
