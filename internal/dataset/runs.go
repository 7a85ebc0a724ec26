package dataset

import "vicreg/internal/parquet"

// Run is some items, one after the other, that are read at once.
type Run struct {
	First, Items int
	Bytes        int64 // that they take then
}

// near is an image that is read with others beside it.
type near interface {
	// Near returns what images have in common that are read at once, and how many bytes
	// they take.
	Near() (in any, number int, bytes int64)
}

// Dear reports whether a look at the item reads others with it.
func (i *Item) Dear() bool {
	_, ok := i.Stored.(near)
	return ok
}

// Runs returns the items that are read at once, and how many bytes should be in use at a
// time; nil if each item is reached alone, or if all stay in memory once they are read.
func (d *Dataset) Runs() (runs []Run, room int64) {
	const most = parquet.MostKept
	var last any
	lastNumber, all := 0, int64(0)
	for i := range d.Items {
		s, ok := d.Items[i].Stored.(near)
		if !ok {
			return nil, 0
		}
		in, number, bytes := s.Near()
		if in != last || number != lastNumber {
			runs = append(runs, Run{First: i, Bytes: bytes})
			all += bytes
			last, lastNumber = in, number
		}
		runs[len(runs)-1].Items++
	}
	if all <= most {
		return nil, 0
	}
	return runs, most / 2
}
