// Package ledger keeps lists of what large data holds, so that it is gone through once. A
// list is a file of the user's cache folder, sealed by a checksum: [Create] writes one,
// [Open] reads it, and a [Reader] takes it apart. Lists that nobody has read for a while
// are taken away by [Prune].
package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc64"
	"os"
	"path/filepath"
	"time"

	"vicreg/internal/durable"
)

// A list is a magic that says what it is of, its contents, and a CRC-64 (ECMA) of both.

var table = crc64.MakeTable(crc64.ECMA)

// Folder is the folder that lists of a kind are kept in; empty: there is none.
func Folder(kind string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "vicreg", kind)
}

// Path is where the list of what lies at a path is kept.
func Path(folder, of string) string {
	sum := sha256.Sum256([]byte(of))
	return filepath.Join(folder, hex.EncodeToString(sum[:hashed])+".list")
}

// hashed is how many bytes of a hash are in a list's name.
const hashed = 12

// Writer writes a list.
type Writer struct {
	file *durable.File
	out  *bufio.Writer
	sum  uint64
}

// Create begins the list at path, whose folder need not be there. Errors of it and of the
// Writer do not name the path.
func Create(path, magic string) (*Writer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, durable.Reason(err)
	}
	file, err := durable.Create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, out: bufio.NewWriterSize(file, 1<<20)}
	w.Write([]byte(magic))
	return w, nil
}

// Write adds to the list. An error is told by Commit.
func (w *Writer) Write(b []byte) {
	w.sum = crc64.Update(w.sum, table, b)
	w.out.Write(b)
}

// Commit ends the list and puts it in its place.
func (w *Writer) Commit() error {
	w.out.Write(binary.LittleEndian.AppendUint64(nil, w.sum))
	if err := w.out.Flush(); err != nil {
		return durable.Reason(err)
	}
	return w.file.Commit()
}

// Discard gives up a list that was not committed.
func (w *Writer) Discard() { w.file.Discard() }

// Open reads the contents of the list at path; ok is false if there is no whole list of
// that magic.
func Open(path, magic string) (contents []byte, ok bool) {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return nil, false
	}
	f.Close()
	raw, err := os.ReadFile(path)
	end := len(raw) - 8
	if err != nil || end < len(magic) || string(raw[:len(magic)]) != magic ||
		crc64.Checksum(raw[:end], table) != binary.LittleEndian.Uint64(raw[end:]) {
		return nil, false
	}
	Used(path)
	return raw[len(magic):end:end], true
}

// Lists stay for so long after they were read last, which their time tells to the day.
const (
	stay = 90 * day
	day  = 24 * time.Hour
)

// Used says that the file at path was read.
func Used(path string) {
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > day {
		now := time.Now()
		os.Chtimes(path, now, now) // where this fails, it is made again some day
	}
}

// Prune takes away the lists in a folder that nobody has read for 90 days. It leaves files
// whose names are not those of lists.
func Prune(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		stem := e.Name()[:len(e.Name())-len(filepath.Ext(e.Name()))]
		if sum, err := hex.DecodeString(stem); err != nil || len(sum) != hashed || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > stay {
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}
