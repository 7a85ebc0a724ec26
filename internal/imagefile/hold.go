package imagefile

import (
	"os"
	"runtime"
	"sync"
)

// Files that need more than small bytes to be decoded share room: they are decoded at
// the same time only if all of them together fit into it; one that needs more has it to
// itself. What a picture takes beyond what its file justifies, if it is more than
// little, is held until its pixels are released; for all pictures together that stays
// within unearned.
const (
	small  = 32 << 20
	little = 1 << 20
	room   = 1 << 30
)

var decoding = struct {
	sync.Mutex
	changed  sync.Cond
	bytes    int64 // of those being decoded
	unearned int64 // of those whose pixels are held as well
	left     int64 // bytes released since the last collection
}{}

func init() { decoding.changed.L = &decoding.Mutex }

// Held is what a picture takes until its pixels are released.
type Held struct{ bytes, unearned int64 }

// Unearned reports whether the picture takes far more than its file justifies.
func (h *Held) Unearned() bool { return h.unearned > 0 }

// Release says that the pixels are no longer used. It may be called more than once.
func (h *Held) Release() {
	if h.unearned == 0 {
		return
	}
	n := h.unearned
	h.unearned = 0
	decoding.Lock()
	decoding.left += n
	collect := decoding.left > small
	if collect {
		decoding.left = 0
	}
	decoding.Unlock()
	if collect { // before the next takes as much
		runtime.GC()
	}
	decoding.Lock()
	decoding.unearned -= n
	decoding.Unlock()
	decoding.changed.Broadcast()
}

// decoded says that only the pixels are left.
func (h *Held) decoded() {
	if h.bytes == 0 {
		return
	}
	decoding.Lock()
	decoding.bytes -= h.bytes
	decoding.Unlock()
	h.bytes = 0
	decoding.changed.Broadcast()
}

// reserve waits until there is room to decode a picture that takes memory bytes, from a
// file of bytes bytes. Whoever holds a picture must not wait for another.
func reserve(memory, bytes int64) *Held {
	h := &Held{bytes: min(memory, room), unearned: min(memory-perByte*bytes, unearned)}
	if h.bytes <= small {
		h.bytes = 0
	}
	if h.unearned <= little {
		h.unearned = 0
	}
	if h.bytes == 0 && h.unearned == 0 {
		return h
	}
	decoding.Lock()
	defer decoding.Unlock()
	for decoding.bytes+h.bytes > room || decoding.unearned+h.unearned > unearned {
		decoding.changed.Wait()
	}
	decoding.bytes += h.bytes
	decoding.unearned += h.unearned
	return h
}

// Large reports whether the image at path has so many pixels, or so many more than its
// file justifies, that no others should be in memory beside it.
func Large(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	w, h, err := Stat(path, Limits{})
	return err == nil && large(w, h, info.Size())
}

func large(w, h int, bytes int64) bool {
	pixels := int64(w) * int64(h)
	return pixels > 16<<20 || 3*pixels > perByte*bytes+little
}
