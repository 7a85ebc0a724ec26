package dataset

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"os"
	"sync"
)

// Fingerprint names the data set's contents, so that a run is not resumed on other data.
// It changes with the names, labels and order, and with pixels that are held here or
// packed, but not with the pixels of other files; see [Sums].
func (d *Dataset) Fingerprint() string {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	h.Write([]byte(d.sum))
	for _, item := range d.Items {
		fmt.Fprintf(h, "%s\x00%d\x00", item.Name, item.Label)
		if item.Held() && item.Image != nil && d.sum == "" {
			binary.Write(h, binary.LittleEndian,
				[3]int64{int64(item.Image.W), int64(item.Image.H), int64(item.Image.C)})
			h.Write(item.Image.Pix)
		}
	}
	return fmt.Sprintf("%d-%016x", len(d.Items), h.Sum64())
}

// Files are n files: what people call each, and where it lies; an empty path is
// no file.
type Files struct {
	N  int
	At func(i int) (name, path string)
}

// Group returns the files that share a sum with file i, as Differ returned it.
func (f Files) Group(i int) (from, to int) {
	g := groupOf(f.N)
	return i / g * g, i + 1
}

// FilesOf returns the files of some data sets, one set after the other; nil sets have
// none.
func FilesOf(sets ...*Dataset) Files {
	var lists [][]Item // as they are now
	n := 0
	for _, d := range sets {
		if d != nil {
			lists = append(lists, d.Items)
			n += len(d.Items)
		}
	}
	return Files{n, func(i int) (name, path string) {
		k := 0
		for ; i >= len(lists[k]); k++ {
			i -= len(lists[k])
		}
		return lists[k][i].Name, lists[k][i].Path
	}}
}

const (
	sumGroups  = 1 << 16 // of files at most, each with a sum
	sumSampled = 4096    // files of which bytes are read; of the others the size counts
	sumBytes   = 256     // read of each, in its middle
)

// Sums are short checksums of files, from which [Differ] can tell later which of them
// have changed. A file counts with its name, its size and, if there are few files, some
// of its bytes. Its time does not count, so a copy is as good.
func (f Files) Sums() string {
	data := binary.BigEndian.AppendUint32(nil, uint32(f.N))
	for _, s := range f.sums() {
		data = binary.BigEndian.AppendUint16(data, s)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// Differ compares sums of files then and now. It returns, in order, those of the files
// now that differ from then. If only the last of the files then are gone, it returns
// just the number of files now. It returns nothing if all are the same, or if the sums
// do not tell. Where there are so many files that several share a sum, it names the last
// of these.
func Differ(then, now string) []int {
	before, n, ok := readSums(then)
	after, m, ok2 := readSums(now)
	if !ok || !ok2 || groupOf(n) != groupOf(m) {
		return nil
	}
	var other []int
	for i, s := range after {
		if i >= len(before) || before[i] != s {
			other = append(other, min((i+1)*groupOf(m), m)-1)
		}
	}
	if other == nil && n > m {
		return []int{m}
	}
	return other
}

// Change is how files differ from earlier ones, in any order.
type Change struct {
	Then, Now int   // how many there were and are
	New       []int // those that are new or others
	Gone      int   // how many of those then are not there
}

// Changes compares sums of files then and now. If there are too many files for a sum of
// each, New and Gone stay empty.
func Changes(then, now string) (c Change, ok bool) {
	before, n, ok := readSums(then)
	after, m, ok2 := readSums(now)
	c.Then, c.Now = n, m
	if !ok || !ok2 {
		return c, false
	}
	if max(everyOf(n), everyOf(m)) > 1 || max(groupOf(n), groupOf(m)) > 1 { // a sum changes with the place
		return c, true
	}
	left := map[uint16]int{}
	for _, s := range before {
		left[s]++
	}
	for i, s := range after {
		if left[s] == 0 {
			c.New = append(c.New, i)
		} else {
			left[s]--
		}
	}
	c.Gone = n - (m - len(c.New))
	return c, true
}

// readSums is the inverse of Sums.
func readSums(text string) (sums []uint16, n int, ok bool) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) < 4 {
		return nil, 0, false
	}
	n, data = int(binary.BigEndian.Uint32(data)), data[4:]
	if group := groupOf(n); len(data) != 2*((n+group-1)/group) {
		return nil, 0, false
	}
	for ; len(data) > 0; data = data[2:] {
		sums = append(sums, binary.BigEndian.Uint16(data))
	}
	return sums, n, true
}

// groupOf returns how many of n files share a sum.
func groupOf(n int) int { return max(1, (n+sumGroups-1)/sumGroups) }

// everyOf returns k, where every k-th of n files is read.
func everyOf(n int) int { return max(1, n/sumSampled) }

func (f Files) sums() []uint16 {
	group := groupOf(f.N)
	sums := make([]uint16, (f.N+group-1)/group)
	every := everyOf(f.N)
	var wg sync.WaitGroup
	const workers = 8 // that wait for the disk
	for w := range workers {
		wg.Go(func() {
			for g := w; g < len(sums); g += workers {
				h := crc32.NewIEEE()
				for i := g * group; i < min((g+1)*group, f.N); i++ {
					name, path := f.At(i)
					size, some := int64(-1), []byte(nil)
					if path != "" {
						size, some = glimpse(path, i%every == 0)
					}
					fmt.Fprintf(h, "%s\x00%d\x00%s", name, size, some)
				}
				sums[g] = uint16(h.Sum32() ^ h.Sum32()>>16)
			}
		})
	}
	wg.Wait()
	return sums
}

// glimpse returns a file's size and, if asked for, some of its bytes; -1 if it
// cannot be read.
func glimpse(path string, read bool) (size int64, some []byte) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return -1, nil
	}
	if size = info.Size(); !read {
		return size, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return -1, nil
	}
	defer f.Close()
	some = make([]byte, sumBytes)
	n, _ := f.ReadAt(some, max(0, size/2-sumBytes/2))
	return size, some[:n]
}
