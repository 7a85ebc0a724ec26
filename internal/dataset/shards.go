package dataset

import (
	"encoding/json"
	"fmt"
	"hash/crc64"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/shard"
	"vicreg/internal/show"
)

// fieldMark begins the name of a field of each sample, in Options.Labels.
const fieldMark = "@"

// mostText is how long a file may be that holds a label.
const mostText = 1 << 20

// openShards opens tar files of samples, see package shard. A sample's image is its file
// of an image's ending.
func openShards(name string, files []string, o Options) (*source, error) {
	s := &source{fields: true}
	dir, names := belowCommon(files)
	train, test, part := s.purposes(names)
	all := make([]*shard.Shard, len(files))
	for i, file := range files {
		all[i] = &shard.Shard{Path: file, Name: names[i]}
	}
	var from field
	used := pick(all, slices.Concat(train, test))
	peeked, err := from.choose(used[0], o.Labels)
	if err != nil {
		return nil, err
	}
	parts := make([]shardPart, len(used))
	opened, err := shard.Open(used, func(i int, l *shard.Listing) error {
		return parts[i].take(used[i], l, &from)
	}, o.watching("listing the files in shards"))
	if err != nil {
		return nil, err
	}
	if opened.Err == nil {
		opened.Listed += peeked.Listed
	}
	s.listed(opened)
	s.shardNotes(parts)
	if from.untold > 0 && o.Labels != told {
		s.note("the samples' .json files are not taken for labels, as those of %s tell none by %s; --labels @json.KEY names another key",
			show.Plural(from.untold, "sample that was looked at", "samples that were looked at"), strings.Join(jsonLabels, ", "))
	}
	first, texts := joined(parts[:len(train)])
	if len(first) == 0 {
		return nil, noImages(fmt.Sprintf("%s: no sample in %s holds a JPEG, PNG, GIF, BMP, TIFF or WebP image", show.Name(name), show.Count(len(train), "shard")))
	}
	sum := sumOf(parts)
	second, more := joined(parts[len(train):])
	within := foldersOf(o.Labels, first, second)
	s.part = fmt.Sprintf("what %s hold", part+" shards")
	if len(test) == 0 && within.train != "" {
		first, second, texts, more = s.sort(within, first, texts)
	}
	if len(within.odd) > 0 && o.Labels != "folders" {
		s.note("%s in the shards %s of parts that train or score, but all images train", show.Some(within.odd, 5),
			haveNames(len(within.odd)))
	}
	s.train = &Dataset{Name: nameOf(dir, names), Items: first, sum: sum,
		About: fmt.Sprintf("%s in %s of %s", images(len(first)), show.Count(len(train), "shard"), name)}
	if len(second) > 0 {
		s.test = &Dataset{Name: s.train.Name, Items: second, sum: sum}
		texts = append(texts, more...)
	}
	if o.Labels == told || o.Labels == "none" {
		return s, nil
	}
	return s, s.labelBy(&from, texts, within, o)
}

// folders are those within shards, as a tree has them: below inner, which holds all images, lie
// the parts of the layout or the classes.
type folders struct {
	inner string // with a slash at its end; empty: nothing holds them all
	layout
}

// foldersOf arranges the folders that images lie in.
func foldersOf(labels string, sets ...[]Item) folders {
	w := &walker{other: map[string]map[string]int{}}
	known := map[string]bool{}
	for _, items := range sets {
		for i := range items {
			dir, _ := path.Split(inShard(&items[i]))
			if known[dir] {
				continue
			}
			known[dir] = true
			w.files = append(w.files, dir+"x") // one for all that lie there
			for dir = strings.TrimSuffix(dir, "/"); dir != "" && !known[dir]; dir = above(dir) {
				known[dir] = true
				w.dirs = append(w.dirs, dir)
			}
		}
	}
	slices.SortFunc(w.files, compareNames)
	slices.SortFunc(w.dirs, compareNames)
	in, l := w.unwrap(labels)
	return folders{in.inner, l}
}

// top is the folder below inner that an image lies in, "" if it lies in none.
func (f *folders) top(item *Item) string { return topOf(strings.TrimPrefix(inShard(item), f.inner)) }

// name is what an image is called below the folder of its part.
func (f *folders) name(item *Item) string {
	name := strings.TrimPrefix(inShard(item), f.inner)
	if top := f.top(item); f.role(top) != outside {
		name = name[len(top)+1:]
	}
	return name
}

// sort puts images into the parts that their folders within the shards are.
func (s *source) sort(f folders, items []Item, texts []string) (train, test []Item, first, second []string) {
	scored, left := "", map[string]int{}
	if len(f.tests) > 0 {
		scored = f.tests[0]
	}
	more := 0
	for i := range items {
		top := f.top(&items[i])
		switch r := f.role(top); {
		case r == trains:
			train, first = append(train, items[i]), append(first, texts[i])
		case r == unlabelled:
			train, first = append(train, items[i]), append(first, "")
			more++
		case top == scored:
			test, second = append(test, items[i]), append(second, texts[i])
		default:
			s.rest = append(s.rest, items[i])
			left[top]++
		}
	}
	s.part = show.Name(f.inner + scored + "/")
	if more > 0 {
		s.note("%s of folders without labels in the shards (%s) belong to the part that trains", images(more), strings.Join(f.more, ", "))
	}
	for _, top := range slices.Sorted(maps.Keys(left)) {
		why := "it is neither the part that trains nor the one that scores"
		if slices.Contains(f.tests, top) {
			why = "as " + s.part + " scores"
		}
		where := show.Name(f.inner + top + "/")
		if top == "" {
			where = "what lies in no folder"
		}
		s.unuse("%s in the shards (%s) is not used: %s", where, images(left[top]), why)
	}
	return train, test, first, second
}

// listed says what listing shards for the first time came to.
func (s *source) listed(o shard.Opened) {
	if o.Listed > 0 && o.Err != nil {
		s.note("what %s listed cannot be kept, so it is listed each time: %s: %v", show.Plural(o.Listed, "shard holds was", "shards hold was"), shard.Cache(), o.Err)
	} else if o.Listed > 0 {
		s.note("what %s was listed for the first time, and the lists are kept in %s", show.Plural(o.Listed, "shard holds", "shards hold"), show.Name(o.Folder))
	}
}

// nameOf is what people call the images in some files: the folder, or the only file.
func nameOf(dir string, names []string) string {
	if len(names) == 1 {
		return strings.TrimSuffix(names[0], filepath.Ext(names[0]))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

// shardPart is what one shard adds.
type shardPart struct {
	items  []Item
	texts  []string // what says each item's class; empty: nothing
	counts shard.Counts

	bare, many int    // samples without an image, or with several
	firstBare  string // the first of these, and the file taken of the first with several
	firstMany  string
	kinds      map[string]int // endings of what samples without an image hold
	spare      int            // images that are not taken of samples with several
	sum        uint64
}

// take picks the image and the label of each sample of a shard.
func (p *shardPart) take(s *shard.Shard, l *shard.Listing, from *field) error {
	p.counts = l.Counts
	length, n := 0, 0
	places := make([]int, len(l.Samples))
	for i := range l.Samples {
		sample := &l.Samples[i]
		at, several := imageOf(sample)
		places[i] = at
		switch {
		case at < 0:
			if p.bare++; p.bare == 1 {
				p.firstBare, p.kinds = s.Name+"/"+sample.Key, map[string]int{}
			}
			for k := range sample.Fields {
				p.kinds[path.Ext("."+sample.Fields[k].End)]++
			}
			continue
		case several > 0:
			if p.many++; p.many == 1 {
				p.firstMany = s.Name + "/" + sample.NameOf(&sample.Fields[at])
			}
			p.spare += several
		}
		n++
		length += len(s.Name) + 1 + len(sample.NameOf(&sample.Fields[at]))
	}
	var names strings.Builder // all in one piece
	names.Grow(length)
	p.items = make([]Item, 0, n)
	p.texts = make([]string, 0, n)
	members := make([]shard.Member, n)
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	known := map[string]string{}
	for i := range l.Samples {
		if places[i] < 0 {
			continue
		}
		sample := &l.Samples[i]
		f := &sample.Fields[places[i]]
		k := len(p.items)
		members[k] = shard.Member{Shard: s, At: f.At, Size: f.Size}
		start := names.Len()
		names.WriteString(s.Name)
		names.WriteByte('/')
		names.WriteString(sample.NameOf(f))
		fmt.Fprintf(h, "%d\x00", f.Size)
		p.items = append(p.items, Item{Name: names.String()[start:], Label: -1, Stored: &members[k]})
		text, err := from.of(s, sample)
		if err != nil {
			return err
		}
		if same, ok := known[text]; ok {
			text = same
		} else {
			text = strings.Clone(text)
			known[text] = text
		}
		p.texts = append(p.texts, text)
	}
	p.sum = h.Sum64()
	return nil
}

// imageOf returns the place of a sample's image among its files, -1 if it has none, and how
// many more it has: then the first whose ending has no dot is taken, or else the first.
func imageOf(s *shard.Sample) (at, several int) {
	at = -1
	for i := range s.Fields {
		end := "." + s.Fields[i].End
		if !slices.Contains(imagefile.Extensions, path.Ext(end)) {
			continue
		}
		if at >= 0 {
			several++
		}
		if at < 0 || strings.Count(end, ".") == 1 && strings.Contains(s.Fields[at].End, ".") {
			at = i
		}
	}
	for i := 0; at < 0 && i < len(s.Fields); i++ { // an array where there is nothing else
		if path.Ext("."+s.Fields[i].End) == imagefile.Array {
			at = i
		}
	}
	return at, several
}

// joined returns the items of all parts, and what says their classes.
func joined(parts []shardPart) (items []Item, texts []string) {
	n := 0
	for i := range parts {
		n += len(parts[i].items)
	}
	items, texts = make([]Item, 0, n), make([]string, 0, n)
	for i := range parts {
		items, texts = append(items, parts[i].items...), append(texts, parts[i].texts...)
		parts[i].items, parts[i].texts = nil, nil
	}
	return items, texts
}

func sumOf(parts []shardPart) string {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	for i := range parts {
		fmt.Fprintf(h, "%016x", parts[i].sum)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// shardNotes says what in the shards is not read.
func (s *source) shardNotes(parts []shardPart) {
	var counts shard.Counts
	bare, many, spare, kinds := 0, 0, 0, map[string]int{}
	firstBare, firstMany := "", ""
	for i := range parts {
		p := &parts[i]
		counts.Add(p.counts)
		if bare == 0 {
			firstBare = p.firstBare
		}
		if many == 0 {
			firstMany = p.firstMany
		}
		bare, many, spare = bare+p.bare, many+p.many, spare+p.spare
		for kind, n := range p.kinds {
			kinds[kind] += n
		}
	}
	if bare > 0 {
		of := "it"
		if bare > 1 {
			of = "them"
		}
		_, list := tally(kinds)
		s.note("%s no image and %s left out, first %s (files of %s: %s)", show.Plural(bare, "sample has", "samples have"), is(bare),
			show.Name(firstBare), of, list)
	}
	if many > 0 {
		s.note("%s several images, as names that are the same up to the first dot are of one sample; of each one is taken, such as %s, and %s left out",
			show.Plural(many, "sample has", "samples have"), show.Name(firstMany), show.Plural(spare, "image is", "images are"))
	}
	s.notes = append(s.notes, counts.Notes()...)
}

// field says where the class of a sample is told.
type field struct {
	end  string   // ending of the file; empty: no file tells
	keys []string // of the value within, if the file is JSON

	untold int // JSON files that were looked into and tell none
}

// fieldOf returns the place that a name stands for: an ending, or json and a key.
func fieldOf(name string) field {
	if end, keys, ok := strings.Cut(name, "."); ok && strings.EqualFold(end, "json") {
		return field{end: "json", keys: strings.Split(keys, ".")}
	}
	return field{end: strings.ToLower(name)}
}

// jsonLabels are keys of JSON files that are taken for classes where nobody says.
var jsonLabels = []string{"label", "class", "cls", "category", "target"}

// choose finds out where classes are told, by what Options.Labels says or else by the
// samples of a shard.
func (f *field) choose(s *shard.Shard, labels string) (shard.Opened, error) {
	name, ok := strings.CutPrefix(labels, fieldMark)
	switch {
	case ok:
		*f = fieldOf(name)
		if f.end == "json" && f.keys == nil {
			return shard.Opened{}, fmt.Errorf("labels %q: name the value in the JSON files too, as in @json.label", labels)
		}
		return shard.Opened{}, nil
	case labels != "" && labels != "auto":
		return shard.Opened{}, nil
	}
	return shard.Open([]*shard.Shard{s}, func(_ int, l *shard.Listing) error {
		f.guess(s, l)
		return nil
	}, nil)
}

// mostGuesses is how many JSON files are read to find out whether they tell classes.
const mostGuesses = 256

// guess looks for the first sample with an image that tells a class.
func (f *field) guess(s *shard.Shard, l *shard.Listing) {
	read := 0
	for i := range l.Samples {
		sample := &l.Samples[i]
		if at, _ := imageOf(sample); at < 0 {
			continue
		}
		if in := sample.Field("cls"); in != nil && in.Size > 0 {
			*f = field{end: "cls"}
			return
		}
		if in := sample.Field("json"); in == nil || in.Size == 0 || read == mostGuesses {
			continue
		}
		read++
		for _, key := range jsonLabels {
			try := field{end: "json", keys: []string{key}}
			if text, err := try.of(s, sample); err == nil && text != "" {
				*f = try
				return
			}
		}
	}
	f.untold = read
}

// about says where classes are told, in words for people.
func (f *field) about() string {
	if f.keys != nil {
		return fmt.Sprintf("%s in the .json of each as its class", show.Name(strings.Join(f.keys, ".")))
	}
	return fmt.Sprintf("the .%s of each as its class", show.Name(f.end))
}

// of returns what tells the class of a sample; empty: nothing does.
func (f field) of(s *shard.Shard, sample *shard.Sample) (string, error) {
	if f.end == "" {
		return "", nil
	}
	in := sample.Field(f.end)
	if in == nil || in.Size == 0 {
		return "", nil
	}
	text := in.Text
	if text == "" {
		m := shard.Member{Shard: s, At: in.At, Size: in.Size}
		raw, err := m.Read(mostText)
		if err != nil {
			return "", fmt.Errorf("%s/%s: %w", show.Name(s.Path), show.Name(sample.NameOf(in)), err)
		}
		text = string(raw)
	}
	text = strings.TrimPrefix(text, "\ufeff")
	if f.keys == nil {
		return strings.TrimSpace(text), nil
	}
	value, err := jsonValue(text, f.keys)
	if err != nil {
		return "", fmt.Errorf("%s/%s: %w", show.Name(s.Path), show.Name(sample.NameOf(in)), err)
	}
	return value, nil
}

// jsonValue returns the text or the number of some keys, one within the other, of a JSON
// object; empty: there is none.
func jsonValue(text string, keys []string) (string, error) {
	raw := json.RawMessage(text)
	for _, key := range keys {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return "", fmt.Errorf("this is no JSON object, where %s is to be found", show.Name(key))
		}
		raw = object[key]
		if raw == nil || string(raw) == "null" {
			return "", nil
		}
	}
	var value any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return "", fmt.Errorf("this is not JSON: %w", err)
	}
	switch v := value.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("%s is neither a text nor a number, so it names no class", show.Name(strings.Join(keys, ".")))
}
