package pairs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/shard"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// Pairs may lie in shards instead of a manifest: each sample of a shard is a row, and its
// columns are the endings of its files. See package shard.

// alternatives stands between endings of which a sample has one: jpg;png.
const alternatives = ";"

// shards are the rows of some shards.
type shards struct {
	table *table.Table
	keys  []string                 // what each row is called
	files map[string]*shard.Member // by what cells call them
	train int                      // rows that train, if others score; 0: the shards do not tell
	part  string                   // what these are called
	notes []string
}

// isFile reports whether the column of a side holds files.
func isFile(sides []Side, column string) bool {
	return slices.ContainsFunc(sides, func(s Side) bool { return s.files() && slices.Contains(s.Columns, column) })
}

// readShards lists the samples in shards, and reads what they hold of the wanted columns:
// of files where they lie, of other columns what is in them.
func readShards(spec string, sides []Side, columns []string) (*shards, error) {
	for _, side := range sides {
		if side.Type == "series" || side.Type == "embedding" && side.File == "" {
			return nil, fmt.Errorf("%s: sides of this type are not read out of shards; unpack the shards and name the files in a manifest", &side)
		}
	}
	set, err := dataset.Shards(spec)
	if err != nil {
		return nil, err
	}
	type piece struct {
		rows    []table.Record
		keys    []string
		members []shard.Member
		names   []string
		counts  shard.Counts
	}
	used := slices.Concat(set.Train, set.Test)
	pieces := make([]piece, len(used))
	opened, err := shard.Open(used, func(i int, l *shard.Listing) error {
		p := &pieces[i]
		p.counts = l.Counts
		for k := range l.Samples {
			sample := &l.Samples[k]
			cells := make([]string, len(columns))
			for c, column := range columns {
				for end := range strings.SplitSeq(column, alternatives) {
					if isFile(sides, column) {
						if f := sample.Field(strings.ToLower(end)); f != nil {
							cells[c] = used[i].Name + "/" + sample.NameOf(f)
							p.names = append(p.names, cells[c])
							p.members = append(p.members, shard.Member{Shard: used[i], At: f.At, Size: f.Size})
						}
					} else if cells[c], err = dataset.SampleText(used[i], sample, end); err != nil {
						return err
					}
					if cells[c] != "" {
						break
					}
				}
			}
			p.rows = append(p.rows, table.Record{Line: k + 1, Cells: cells})
			p.keys = append(p.keys, used[i].Name+"/"+sample.Key)
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	s := &shards{files: map[string]*shard.Member{}, notes: append(set.Notes, dataset.ListedNotes(opened)...)}
	var rows []table.Record
	var counts shard.Counts
	for i := range pieces {
		p := &pieces[i]
		counts.Add(p.counts)
		rows, s.keys = append(rows, p.rows...), append(s.keys, p.keys...)
		for k, name := range p.names {
			s.files[name] = &p.members[k]
		}
		if i+1 == len(set.Train) && len(set.Test) > 0 {
			s.train, s.part = len(rows), set.Part
		}
	}
	s.notes = append(s.notes, counts.Notes()...)
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: there are no samples in %s", show.Name(spec), show.Count(len(used), "shard"))
	}
	s.table = table.Of(show.Name(filepath.Base(spec)), columns, rows)
	for c, column := range columns {
		if !slices.ContainsFunc(rows, func(r table.Record) bool { return r.Cells[c] != "" }) {
			return nil, fmt.Errorf("%s: no sample has a file of the ending %s", show.Name(spec), show.Name(column))
		}
	}
	return s, nil
}

// present returns an error unless the file that a cell names, at path, is there.
func (d *Data) present(path string) error {
	if d.files == nil {
		return table.IsFile(path)
	}
	if d.files[path] == nil {
		return fmt.Errorf("%s: no shard holds such a file", show.Name(path))
	}
	return nil
}
