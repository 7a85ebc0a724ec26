package eval

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"

	"vicreg/internal/durable"
	"vicreg/internal/host"
)

// Store keeps the features of images that memory has no room for in a temporary file. The
// file has no name while it is in use where the system allows that, so that nothing stays
// behind.
type Store struct {
	file    *os.File
	folder  string
	n, d    int
	raw     []byte
	unnamed bool
}

// StoreFolder is where stores lie: TMPDIR, or else the system's folder for large temporary
// files.
func StoreFolder() string {
	if os.Getenv("TMPDIR") == "" && runtime.GOOS != "windows" {
		if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() {
			return "/var/tmp" // /tmp may be memory
		}
	}
	return os.TempDir()
}

// NewStore makes a store with room for the features of n images, d numbers each. It must be
// closed.
func NewStore(n, d int) (*Store, error) {
	s := &Store{folder: StoreFolder(), d: d}
	var err error
	if s.file, err = os.CreateTemp(s.folder, "vicreg-features-*"); err != nil {
		return nil, s.failed(err)
	}
	s.unnamed = runtime.GOOS != "windows" && os.Remove(s.file.Name()) == nil
	if err := allocate(s.file, int64(n)*int64(d)*4); err != nil {
		s.Close()
		return nil, s.failed(fmt.Errorf("they take %s, and %w", host.Bytes(float64(n)*float64(d)*4), durable.Reason(err)))
	}
	return s, nil
}

func (s *Store) failed(err error) error {
	return fmt.Errorf("features cannot be kept in a temporary file in %s: %w; set TMPDIR to a folder with room, or score on fewer images (--limit)",
		s.folder, durable.Reason(err))
}

// Close removes the store.
func (s *Store) Close() {
	s.file.Close()
	if !s.unnamed {
		os.Remove(s.file.Name())
	}
}

// Add appends features, d numbers an image.
func (s *Store) Add(x []float32) error {
	if len(x)%s.d != 0 {
		panic(fmt.Sprintf("eval: %d numbers of features of %d", len(x), s.d))
	}
	s.raw = s.raw[:0]
	for _, v := range x {
		s.raw = binary.LittleEndian.AppendUint32(s.raw, math.Float32bits(v))
	}
	if _, err := s.file.WriteAt(s.raw, int64(s.n)*int64(s.d)*4); err != nil {
		return s.failed(err)
	}
	s.n += len(x) / s.d
	return nil
}

// read fills x with the features of the images from lo on; raw is room of as many bytes as
// they take.
func (s *Store) read(x []float32, raw []byte, lo int) error {
	raw = raw[:4*len(x)]
	if _, err := s.file.ReadAt(raw, int64(lo)*int64(s.d)*4); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("something cut it short")
		}
		return fmt.Errorf("the temporary file of features in %s cannot be read: %w", s.folder, durable.Reason(err))
	}
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}
