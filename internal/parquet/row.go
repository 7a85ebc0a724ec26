package parquet

import (
	"bytes"
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
)

// run is what is read at once: a page of images, or where a dictionary is used, all pages
// of a row group.
type run struct {
	group int
	dict  *page
	pages []page
	first int // row
	rows  int
	size  int64 // bytes when it is unpacked
}

// runsOf finds the runs of a row group, whose first row is given.
func (f *File) runsOf(r io.ReaderAt, group, first int, l *leaf) ([]run, error) {
	dict, pages, err := f.pagesOf(r, group, l)
	if err != nil {
		return nil, err
	}
	together := run{group: group, dict: dict, pages: pages, first: first}
	var runs []run
	shared := false
	for i := range pages {
		p := &pages[i]
		shared = shared || dictionary(p.encoding)
		together.rows += p.values
		together.size += int64(p.size)
		runs = append(runs, run{group: group, pages: pages[i : i+1], first: first, rows: p.values, size: int64(p.size)})
		first += p.values
	}
	if !shared {
		return runs, nil
	}
	if together.size += int64(dict.size); together.size > mostPage {
		return nil, fmt.Errorf("a row group of column %s takes %d MB, more than %d; write the table with smaller row groups", l.name(), together.size>>20, mostPage>>20)
	}
	return []run{together}, nil
}

// Row is an image of a file.
type Row struct {
	File *File
	At   int
}

// Near returns a number that rows share which are read together, and how many bytes these
// take when they are.
func (r *Row) Near() (file any, number int, size int64) {
	i := r.File.runAt(r.At)
	return r.File, i, r.File.runs[i].size
}

func (f *File) runAt(row int) int {
	i, _ := slices.BinarySearchFunc(f.runs, row, func(r run, row int) int {
		return cmp.Compare(r.first+r.rows-1, row)
	})
	return i
}

// Hold decodes the image, see [imagefile.Hold].
func (r *Row) Hold(name string, limits imagefile.Limits, _ *[]byte) (imagefile.Image, *imagefile.Held, error) {
	raw, err := r.bytes()
	if err != nil {
		return imagefile.Image{}, new(imagefile.Held), fmt.Errorf("%s: %w", name, err)
	}
	return imagefile.HoldBytes(name, raw, limits)
}

// Stat returns the image's size, see [imagefile.Stat].
func (r *Row) Stat(name string, limits imagefile.Limits) (w, h int, err error) {
	raw, err := r.bytes()
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", name, err)
	}
	return imagefile.StatAt(name, bytes.NewReader(raw), int64(len(raw)), limits)
}

// Large is [imagefile.Large] of the image.
func (r *Row) Large() bool {
	raw, err := r.bytes()
	return err == nil && imagefile.LargeAt(bytes.NewReader(raw), int64(len(raw)))
}

// bytes returns the image's file, which must not be changed.
func (r *Row) bytes() ([]byte, error) {
	i := r.File.runAt(r.At)
	values, err := kept.values(r.File, i)
	if err != nil {
		return nil, durable.Reason(err)
	}
	raw := values[r.At-r.File.runs[i].first]
	if raw == nil {
		return nil, errors.New("this row has no bytes of an image")
	}
	return raw, nil
}

// readRun reads a run if the file is as it was when it was opened.
func (f *File) readRun(i int) ([][]byte, error) {
	file, err := durable.OpenRegular(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != f.size || info.ModTime().UnixNano() != f.time {
		return nil, errors.New("the table was changed since it was opened; start again")
	}
	r := &f.runs[i]
	return f.values(file, r.group, &f.image, r.dict, r.pages)
}

// MostKept is how many bytes of runs are kept, besides one that is larger.
const MostKept = 512 << 20

// kept are the runs that were read last, of all files.
var kept = &cache{at: map[place]*list.Element{}, most: MostKept}

type place struct {
	file *File
	run  int
}

// cache keeps runs. Any number of goroutines may use it.
type cache struct {
	mu   sync.Mutex
	at   map[place]*list.Element
	used list.List // of *entry, the last one used first
	size int64
	most int64
}

type entry struct {
	place
	once   sync.Once
	size   int64
	values [][]byte
	err    error
}

// values returns those of a run, which is read once however many ask for it.
func (c *cache) values(f *File, i int) ([][]byte, error) {
	key := place{f, i}
	c.mu.Lock()
	e := c.at[key]
	if e == nil {
		e = c.used.PushFront(&entry{place: key, size: f.runs[i].size})
		c.at[key] = e
		c.size += f.runs[i].size
		for c.size > c.most && c.used.Len() > 1 {
			c.drop(c.used.Back())
		}
	} else {
		c.used.MoveToFront(e)
	}
	c.mu.Unlock()
	held := e.Value.(*entry)
	held.once.Do(func() { held.values, held.err = f.readRun(i) })
	if held.err != nil { // another try may do better
		c.mu.Lock()
		if c.at[key] == e {
			c.drop(e)
		}
		c.mu.Unlock()
	}
	return held.values, held.err
}

func (c *cache) drop(e *list.Element) {
	held := c.used.Remove(e).(*entry)
	delete(c.at, held.place)
	c.size -= held.size
}
