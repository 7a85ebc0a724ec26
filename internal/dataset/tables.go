package dataset

import (
	"fmt"
	"hash/crc64"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"vicreg/internal/parquet"
	"vicreg/internal/show"
)

// openTables opens Parquet files with a column of images, see package parquet. An image is
// called by its file and the number of its row.
func openTables(name string, files []string, o Options) (*source, error) {
	s := &source{fields: true}
	dir, names := belowCommon(files)
	train, test, part := s.purposes(names)
	used := slices.Concat(train, test)
	column, given := strings.CutPrefix(o.Labels, fieldMark)
	if !given && o.Labels != "" && o.Labels != "auto" {
		column = ""
		if o.Labels == "folders" {
			return nil, fmt.Errorf("labels folders: rows of tables lie in no folders; name the column of classes, as in @label")
		}
	}
	tables := make([]*parquet.File, len(used))
	texts := make([][]string, len(used))
	err := inOrder(len(used), o.watching("listing the images in tables"), func(i int) (err error) {
		tables[i], err = parquet.Open(files[used[i]], names[used[i]])
		return err
	})
	if err != nil {
		return nil, err
	}
	auto := !given && (o.Labels == "" || o.Labels == "auto")
	if auto {
		column = tables[0].LabelColumn(jsonLabels)
	}
	if column != "" {
		err = inOrder(len(used), nil, func(i int) (err error) {
			texts[i], err = tables[i].Labels(column)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if others := tables[0].Others; len(others) > 0 {
		s.note("images are those in column %s; %s not read: %s", show.Name(tables[0].Image),
			show.Plural(len(others), "other column of images is", "other columns of images are"), show.Some(others, 5))
	}
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	for _, t := range tables {
		if t.Image != tables[0].Image {
			return nil, fmt.Errorf("%s: images are in column %s, but in %s in %s", show.Name(t.Path), show.Name(t.Image),
				show.Name(tables[0].Image), show.Name(tables[0].Path))
		}
		fmt.Fprintf(h, "%s\x00%d\x00%d\x00", t.Name, t.Rows, t.Size())
	}
	sum := fmt.Sprintf("%016x", h.Sum64())
	items := rowsOf(tables[:len(train)])
	s.train = &Dataset{Name: nameOf(dir, names), Items: items, sum: sum,
		About: fmt.Sprintf("%s in %s of %s", images(len(items)), show.Count(len(train), "table"), name)}
	if runs, room := s.train.Runs(); len(runs) > 0 {
		bytes := int64(0)
		for _, r := range runs {
			bytes += r.Bytes
		}
		each := float64(len(items)) / float64(len(runs))
		s.note("images in these tables are reached %.0f at a time; an epoch takes these groups in random order and shuffles about %.0f images among each other", each, float64(room)/float64(bytes)*float64(len(items)))
	}
	if len(test) > 0 {
		s.part = fmt.Sprintf("what %s tables hold", part)
		s.test = &Dataset{Name: s.train.Name, Items: rowsOf(tables[len(train):]), sum: sum}
	}
	if o.Labels == told || o.Labels == "none" {
		return s, nil
	}
	if column == "" {
		s.forgetTest()
		return s, nil
	}
	sets := []*Dataset{s.train}
	if s.test != nil {
		sets = append(sets, s.test)
	}
	return s, s.labelTexts(sets, slices.Concat(texts...), "column "+show.Name(column)+" as the class of each")
}

// rowsOf returns the images of some tables.
func rowsOf(tables []*parquet.File) []Item {
	n := 0
	for _, t := range tables {
		n += t.Rows
	}
	items := make([]Item, 0, n)
	for _, t := range tables {
		rows := make([]parquet.Row, t.Rows)
		var names strings.Builder // all in one piece
		digits := len(strconv.Itoa(t.Rows))
		names.Grow(t.Rows * (len(t.Name) + digits + 2))
		for i := range rows {
			rows[i] = parquet.Row{File: t, At: i}
			at := names.Len()
			names.WriteString(t.Name)
			names.WriteByte('[')
			names.WriteString(strconv.Itoa(i))
			names.WriteByte(']')
			items = append(items, Item{Name: names.String()[at:], Label: -1, Stored: &rows[i]})
		}
	}
	return items
}

// inOrder calls body for each of n things on several goroutines and returns the error of
// the first that has one.
func inOrder(n int, watch func(done, total int) error, body func(i int) error) error {
	errs := make([]error, n)
	var next, done atomic.Int64
	var failed atomic.Bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(n, max(4, 2*runtime.GOMAXPROCS(0))) { // that wait for the disk
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if errs[i] = body(i); errs[i] != nil {
					failed.Store(true)
				}
				if d := int(done.Add(1)); watch != nil && errs[i] == nil {
					mu.Lock()
					if errs[i] = watch(d, n); errs[i] != nil {
						failed.Store(true)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
