// Package pairs reads data whose two sides are of different kinds: an image and
// its caption, a waveform and its spectrogram, a sensor's trace and a row of
// numbers. A manifest (CSV, TSV or JSON lines) lists the pairs; a [Side] says
// which of its columns make a side, and what they hold.
//
//	a, err := pairs.ParseSide("image=photo")
//	b, err := pairs.ParseSide("text=caption")
//	train, test, err := pairs.Open("pairs.csv", []pairs.Side{a, b}, pairs.Options{Holdout: 0.2})
//	source := pairs.NewSource(train, []pairs.Side{a, b}, 0)
//	report, err := source.Scan(ctx, pairs.ScanOptions{}) // bad rows out, shapes and means resolved
//	loader, err := source.Train(pairs.Config{...})       // or source.Plain, to evaluate one side
//
// Files are named relative to the manifest. A row whose file is missing, broken
// or silent, whose field is empty, or that has too many fields or too few, is
// left out and reported by its row number; more than a tenth of such rows, those
// to train on and those to score on taken together (see [Parts]), is an error.
// What is merely of another length is cut or padded, and a missing number is
// filled with its column's mean (see [Side]). Data.Notes and Report.Notes say
// what is left out, filled in or guessed.
package pairs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/npy"
	"vicreg/internal/shard"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// Row is one pair.
type Row struct {
	Line  int // where it begins in the manifest, from 1
	Index int // its place among the rows below the header, from 0
	Label int // index into the data set's classes; -1: none

	key   string     // what it is called, in shards
	place int        // of a row that shares its line with others: see table.Record
	cells [][]string // of each side's columns
	err   error      // why the row cannot be used at all
}

// name names the row; no other row of the manifest has the same name.
func (r *Row) name() string {
	if r.key != "" {
		return r.key
	}
	return table.Record{Line: r.Line, Place: r.place}.RowName()
}

// Data is a list of rows in the manifest's order.
type Data struct {
	Name    string // for people
	Rows    []Row
	Classes []string // names, sorted; nil without a label column
	About   string   // in a line for people
	Notes   []string // what of the manifest is not used, and what was guessed of it, a sentence each

	manifest string // name of its file
	dir      string // where it lies
	sides    []Side
	matrix   []*npy.Array             // of the sides that are a file of rows
	writings [][]writing              // of the numeric sides, by column
	files    map[string]*shard.Member // that cells name, in shards; nil: they lie beside a manifest
	limits   imagefile.Limits
	most     *float64 // the share of rows that may be bad
}

// Options say how to read a manifest.
type Options struct {
	Label   string  // column of classes; empty: none
	Split   string  // column that says train or test; empty: none
	Holdout float64 // share of each class kept for scoring where there is no split column; 0: none
	Limit   int     // take this many training rows, spread evenly; 0: all
	All     bool    // all rows are wanted, whichever part they are of

	Images imagefile.Limits // of the sides that are images
	Most   *float64         // the share of rows that may be bad; nil: a tenth
}

// Open lists the pairs. test is nil if the split column or the holdout leaves none.
//
// The rows held out are spread evenly over each class, with at least one of a class of
// two or more. Rows that share a file stay together, so that no image is both trained on
// and scored.
func Open(manifest string, sides []Side, o Options) (train, test *Data, err error) {
	if !(o.Holdout >= 0 && o.Holdout < 1) {
		return nil, nil, fmt.Errorf("holdout %v: must be a share from 0 to below 1", o.Holdout)
	}
	var in shards
	var t *table.Table
	if dataset.InShards(manifest) {
		found, err := readShards(manifest, sides, wanted(sides, o))
		if err != nil {
			return nil, nil, err
		}
		in, t = *found, found.table
		t.Notes = in.notes
	} else if t, err = table.Read(manifest, "manifest", wanted(sides, o)); err != nil {
		return nil, nil, err
	}
	d := &Data{Name: strings.TrimSuffix(t.Name, filepath.Ext(t.Name)), manifest: t.Name, dir: t.Dir, Notes: t.Notes,
		sides: sides, limits: o.Images, most: o.Most, matrix: make([]*npy.Array, len(sides)),
		writings: make([][]writing, len(sides)), Rows: make([]Row, len(t.Rows)), files: in.files}
	for i, r := range t.Rows {
		d.Rows[i] = Row{Line: r.Line, Index: i, Label: -1, place: r.Place, cells: make([][]string, len(sides)),
			err: r.Err}
		if in.keys != nil {
			d.Rows[i].key = in.keys[i]
		}
	}
	for s := range sides {
		if err := d.take(t, s); err != nil {
			return nil, nil, err
		}
	}
	if o.Label != "" {
		if err := d.label(t, o.Label); err != nil {
			return nil, nil, err
		}
	}
	d.About = fmt.Sprintf("%d rows in %s", len(d.Rows), t.Name)
	if o.Split == "" && !o.All {
		d.unsplit(t, wanted(sides, o))
	}
	if o.Split != "" {
		train, test, err = d.splitBy(t, o.Split)
	} else if in.train > 0 {
		train, test = d.parted(in.train, in.part)
	} else {
		train, test = d.holdOut(o.Holdout)
	}
	if err != nil {
		return nil, nil, err
	}
	train.Notes = append(train.Notes, oneSided(train, test)...)
	train.limit(o.Limit)
	return train, test, nil
}

// wanted lists the columns that are read, each once.
func wanted(sides []Side, o Options) []string {
	names := []string{}
	for _, s := range sides {
		names = append(names, s.Columns...)
	}
	for _, name := range []string{o.Label, o.Split} {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// take reads the cells of side s.
func (d *Data) take(t *table.Table, s int) error {
	side := &d.sides[s]
	if err := side.Check(); err != nil {
		return err
	}
	if side.File != "" {
		return d.takeMatrix(t, s)
	}
	columns := make([]int, len(side.Columns))
	for i, name := range side.Columns {
		var err error
		if columns[i], err = t.Column(name); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	const null = `\N` // where there is none, in what databases write
	var nulls table.Tally
	for i := range d.Rows {
		for _, c := range columns {
			cell := t.Rows[i].Cells[c]
			if side.Type == "text" && t.Rows[i].Err == nil && strings.TrimSpace(cell) == null {
				nulls.AddRow(t.Rows[i])
			}
			if side.Type != "text" {
				cell = strings.TrimSpace(cell)
			}
			d.Rows[i].cells[s] = append(d.Rows[i].cells[s], cell)
		}
	}
	if nulls.N > 0 {
		const why = ", as databases write where there is no value; it is taken as a text"
		of := side.Columns[0] + " is " + null + why
		d.Notes = append(d.Notes, nulls.Note(d.manifest, "row whose "+of, "rows whose "+of))
	}
	if side.Type == "numeric" {
		return d.takeNumbers(s)
	}
	return nil
}

// takeNumbers finds how the numbers of each column of side s are written.
func (d *Data) takeNumbers(s int) error {
	side := &d.sides[s]
	d.writings[s] = make([]writing, len(side.Columns))
	for c := range side.Columns {
		w := &d.writings[s][c]
		for _, r := range d.Rows {
			if r.err == nil && !table.Missing(r.cells[s][c]) {
				p, comma := readings(r.cells[s][c], false)
				w.add(p, comma, r.cells[s][c], r.Index)
			}
		}
	}
	if c, index, err := settle(d.writings[s]); err != nil {
		return fmt.Errorf("%s: %s: %s: %w", d.manifest, d.Rows[index].name(), side.Columns[c], err)
	}
	for c, name := range side.Columns {
		w := &d.writings[s][c]
		var values coarse
		for _, r := range d.Rows {
			if r.err == nil && !table.Missing(r.cells[s][c]) {
				if v, err := w.number(r.cells[s][c], false); err == nil {
					values.add(r.cells[s][c], v)
				}
			}
		}
		if 10*values.small > values.n {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: values as small as %s are 0 in the 32 bits they are computed with, or nearly so; multiply them", name, table.Clip(values.least)))
		} else if values.lost() {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: values that differ, as those about %s, are the same in the 32 bits they are computed with; take off what they have in common", name, table.Clip(values.cell)))
		}
		cell, index := w.twofold, w.line
		if w.decimalComma() && w.dotted != "" && cell == "" {
			cell, index = w.dotted, w.dottedLine
		}
		if cell == "" && w.thousandths() && w.short > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: %s in %s is read with a decimal point, since no value tells otherwise; if points stand between thousands, take them out", name, table.Clip(w.dotted), d.Rows[w.dottedLine].name()))
		}
		if cell == "" {
			continue
		}
		p, comma := readings(cell, false)
		read, other := p, w.point
		if w.decimalComma() {
			read, other = comma, w.comma
		}
		note := fmt.Sprintf("%s: %s in %s is read as %s", name, table.Clip(cell), d.Rows[index].name(), read)
		if other != "" {
			note += fmt.Sprintf(", since other values of the column are written as %s", table.Clip(other))
		}
		d.Notes = append(d.Notes, note)
	}
	return nil
}

// takeMatrix reads the file of an embedding that has a row for each row.
func (d *Data) takeMatrix(t *table.Table, s int) error {
	path := d.path(d.sides[s].File)
	if err := table.IsFile(path); err != nil {
		return fmt.Errorf("%s: %w", &d.sides[s], err)
	}
	shape, err := npy.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", &d.sides[s], plain(path, err))
	case len(shape) != 2 || shape[1] == 0:
		return fmt.Errorf("%s: an array of shape %v; a matrix is needed, with a row for each row of %s", path, shape, t.Name)
	case shape[0] != len(t.Rows):
		return fmt.Errorf("%s has %d rows, but %s has %d below its header; they must be the same, in the same order", path, shape[0], t.Name, len(t.Rows))
	}
	if need, most := 4*float64(shape[0])*float64(shape[1]), host.MemoryLimit(); need > most.Bytes {
		return fmt.Errorf("%s: its %d × %d numbers take %s, but %s", path, shape[0], shape[1], host.Bytes(need), most)
	}
	a, err := npy.Read(path)
	if err != nil {
		return fmt.Errorf("%s: %w", &d.sides[s], plain(path, err))
	}
	d.matrix[s] = a
	spreads := make([]npy.Spread, shape[1])
	for i, r := range a.Rest {
		spreads[i%len(spreads)].Add(a.Values[i], r)
	}
	a.Rest = nil // is measured
	d.Notes = append(d.Notes, d.sides[s].coarse(spreads)...)
	return nil
}

// path returns where a file is that the manifest names.
func (d *Data) path(name string) string {
	if d.files != nil {
		return name
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, filepath.FromSlash(name))
}

// Labels returns the label of every row.
func (d *Data) Labels() []int {
	labels := make([]int, len(d.Rows))
	for i, r := range d.Rows {
		labels[i] = r.Label
	}
	return labels
}

// RowName names row i for messages: pairs.csv: row 17.
func (d *Data) RowName(i int) string { return d.manifest + ": " + d.Rows[i].name() }

// ItemName names row i of a side for a list of results: the file that it comes from, as
// the manifest has it, or the row.
func (d *Data) ItemName(i, side int) string {
	if d.sides[side].files() {
		return d.Rows[i].cells[side][0]
	}
	return d.Rows[i].name()
}

// Items numbers the different items of a side: rows of the same number have the same
// content there, as several captions of one image. What counts is the file, the numbers or
// the text, however the manifest writes it.
func (d *Data) Items(side int) []int {
	seen, real := map[string]int{}, d.real()
	items := make([]int, len(d.Rows))
	for i, r := range d.Rows {
		key := strings.TrimSpace(strings.Join(r.cells[side], "\x00"))
		switch s, m := &d.sides[side], d.matrix[side]; {
		case m != nil:
			width := m.Shape[1]
			key = bits(m.Values[r.Index*width : (r.Index+1)*width])
		case s.files():
			key = real(key)
		case s.Type == "numeric":
			if m, err := d.numeric(side, r.cells[side]); err == nil {
				key = bits(m.Values)
			}
		}
		item, ok := seen[key]
		if !ok {
			item = len(seen)
			seen[key] = item
		}
		items[i] = item
	}
	return items
}

// bits writes numbers as they are stored.
func bits(values []float32) string {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v+0)) // -0 is 0
	}
	return string(b)
}

// Remove drops the rows of the given names.
func (d *Data) Remove(names []string) {
	drop := map[string]bool{}
	for _, n := range names {
		drop[n] = true
	}
	var kept []Row
	for i, r := range d.Rows {
		if !drop[d.RowName(i)] {
			kept = append(kept, r)
		}
	}
	d.Rows = kept
}

// Fingerprint names the rows, so that a run is not resumed on others. It changes with
// what the manifest says of them and with their order, but not with the files that it
// names.
func (d *Data) Fingerprint() string {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	for _, r := range d.Rows {
		fmt.Fprintf(h, "%d\x00%d\x00", r.Line, r.Label)
		for s, cells := range r.cells {
			fmt.Fprintf(h, "%s\x00", strings.Join(cells, "\x00"))
			if len(cells) == 1 && d.files[cells[0]] != nil {
				fmt.Fprintf(h, "%d\x00", d.files[cells[0]].Size)
			}
			if m := d.matrix[s]; m != nil {
				width := m.Shape[1]
				fmt.Fprint(h, m.Values[r.Index*width:(r.Index+1)*width])
			}
		}
	}
	return fmt.Sprintf("%d-%016x", len(d.Rows), h.Sum64())
}

// plain words an error of the file system: the path once, and the reason.
func plain(path string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", show.Name(path), pe.Err)
	}
	return err
}
