package torchfile

import (
	"archive/zip"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// mostListed is how many bytes the list of a zip file's entries may have: as many as
// some fifty thousand storages need.
const mostListed = 4 << 20

// archive is a file of the zip format: data.pkl and the storages data/0, data/1 …, under
// a folder whose name is arbitrary.
type archive struct {
	f       *File
	folder  string // with the slash; or empty
	entries map[string]*zip.File
	records map[string]*record
	used    int64 // bytes of the records
}

func (f *File) readArchive() (any, error) {
	if err := f.checkEnd(); err != nil {
		return nil, err
	}
	listed := &limited{r: f.r, left: mostListed}
	z, err := zip.NewReader(listed, f.size)
	switch {
	case listed.out:
		return nil, flaw(tooMany)
	case listed.err != nil:
		return nil, listed.err
	case errors.Is(err, zip.ErrInsecurePath):
	case err != nil:
		return nil, flaw("is damaged: the list of its entries makes no sense; " + again)
	}
	listed.left = math.MaxInt
	a := &archive{f: f, entries: make(map[string]*zip.File, len(z.File)), records: map[string]*record{}}
	f.archive = a
	script, arrays := false, false
	found := false
	for _, e := range z.File {
		if _, twice := a.entries[e.Name]; twice {
			return nil, flawf("is damaged or made up: it has two entries %s", brief(e.Name))
		}
		a.entries[e.Name] = e
		folder, name := "", e.Name
		if i := strings.IndexByte(name, '/'); i >= 0 {
			folder, name = name[:i+1], name[i+1:]
		}
		script = script || name == "constants.pkl" || strings.HasPrefix(name, "code/")
		arrays = arrays || strings.HasSuffix(e.Name, ".npy")
		if name == "data.pkl" && !found {
			a.folder, found = folder, true
		}
	}
	switch {
	case script:
		return nil, flawf("is a TorchScript archive, a model with its code, which is not run: in Python, save the weights alone with torch.save(torch.jit.load(%q).state_dict(), \"weights.pth\")", f.name)
	case !found && arrays:
		return nil, flaw("is an archive of NumPy arrays, not a file of PyTorch")
	case !found:
		return nil, flaw("is a zip file that torch.save did not write: it has no data.pkl; if the weights are in it, unpack it")
	}
	if err := a.order(); err != nil {
		return nil, err
	}
	list, err := a.record("data.pkl")
	if err != nil {
		return nil, err
	}
	if err := f.verify(list); err != nil {
		return nil, err
	}
	return f.load(newSource(f.r, list.at, list.bytes))
}

const tooMany = "is refused: it lists more entries than any weights need"

// checkEnd looks at the end of a zip file, by which a file that was cut short is known. It
// has no comment, and the number of entries that it claims is believed by package zip.
func (f *File) checkEnd() error {
	const length, length64 = 22, 56 + 20 // of the end, and of what is before it in large files
	b := make([]byte, min(f.size, length64+length))
	if _, err := f.r.ReadAt(b, f.size-int64(len(b))); err != nil && err != io.EOF {
		return err
	}
	if end := b[max(0, len(b)-length):]; len(end) < length || le.Uint32(end) != 0x06054b50 || le.Uint16(end[20:]) != 0 {
		return flaw("was cut short or is damaged: the list of its entries, at the end of a zip file, is missing; " + again)
	}
	if len(b) < length64+length || le.Uint32(b[56:]) != 0x07064b50 {
		return nil
	}
	if le.Uint32(b) != 0x06064b50 || le.Uint64(b[56+8:]) != uint64(f.size-int64(len(b))) {
		return flaw("is damaged: the list of its entries makes no sense; " + again)
	}
	if le.Uint64(b[32:]) > mostListed/46 { // bytes of the least entry
		return flaw(tooMany)
	}
	return nil
}

// order refuses a file whose bytes are in the order of another machine.
func (a *archive) order() error {
	if a.entries[a.folder+"byteorder"] == nil {
		return nil // of versions before 2.1, on the machines that wrote them
	}
	rec, err := a.record("byteorder")
	if err != nil {
		return err
	}
	if err := a.f.verify(rec); err != nil {
		return err
	}
	b := make([]byte, min(rec.bytes, 16))
	if _, err := a.f.r.ReadAt(b, rec.at); err != nil && err != io.EOF {
		return err
	}
	switch string(b) {
	case "little":
		return nil
	case "big":
		return flaw(bigEndian)
	}
	return flawf("is damaged: its entry byteorder says %q, neither little nor big", b)
}

const bigEndian = "holds its numbers in the byte order of a big-endian machine, which is not read: load it in Python on any machine and save it again there with torch.save"

// record returns where an entry's bytes are.
func (a *archive) record(name string) (*record, error) {
	if r := a.records[name]; r != nil {
		return r, nil
	}
	e := a.entries[a.folder+name]
	if e == nil {
		return nil, flawf("was cut short or is damaged: it has no entry %s, which its list of tensors names; %s", brief(a.folder+name), again)
	}
	if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 {
		return nil, flawf("was packed anew: its entry %s is compressed, and torch.save writes plain ones; load it in Python and save it again with torch.save", brief(e.Name))
	}
	if e.Flags&1 != 0 {
		return nil, flawf("was packed anew: its entry %s is encrypted", brief(e.Name))
	}
	at, err := e.DataOffset()
	if err != nil {
		return nil, flawf("is damaged: its entry %s is not where its list of entries says; %s", brief(e.Name), again)
	}
	if at > a.f.size || e.CompressedSize64 > uint64(a.f.size-at) {
		return nil, flawf("was cut short: its entry %s claims %d bytes, and only %d are there; %s", brief(e.Name),
			e.CompressedSize64, max(0, a.f.size-at), again)
	}
	// A sum of 0 says that it was left out: torch.utils.serialization.config.save.compute_crc32.
	r := &record{name: e.Name, at: at, bytes: int64(e.CompressedSize64), sum: e.CRC32, checked: e.CRC32 == 0}
	a.used += r.bytes
	if a.used > a.f.size {
		return nil, flaw("is made up: its entries lie on top of each other")
	}
	a.records[name] = r
	return r, nil
}

// storage returns the storage of a key, whose bytes must be there.
func (a *archive) storage(key string, k kind, count int64) (*storage, error) {
	if count == 0 && a.entries[a.folder+"data/"+key] == nil {
		return &storage{rec: &record{name: key, checked: true}, kind: k}, nil
	}
	r, err := a.record("data/" + key)
	if err != nil {
		return nil, err
	}
	if count*k.size > r.bytes {
		return nil, tooMuch(key, count, k, r.bytes)
	}
	return &storage{rec: r, kind: k, count: count}, nil
}

// verify compares the bytes of a record with its checksum, once.
func (f *File) verify(r *record) error {
	f.check.Lock()
	defer f.check.Unlock()
	if r.checked {
		return nil
	}
	sum := crc32.NewIEEE()
	buf := make([]byte, max(1, min(chunk, r.bytes)))
	if _, err := io.CopyBuffer(onlyWriter{sum}, io.NewSectionReader(f.r, r.at, r.bytes), buf); err != nil {
		return err
	}
	if sum.Sum32() != r.sum {
		return flawf("is damaged: the checksum of its entry %s differs from what is there; %s", brief(r.name), again)
	}
	r.checked = true
	return nil
}

// onlyWriter hides what else a writer can do, so that io.CopyBuffer takes its buffer.
type onlyWriter struct{ io.Writer }

// limited lets only so many bytes be read, and remembers errors.
type limited struct {
	r    io.ReaderAt
	left int
	out  bool // it ran out
	err  error
}

func (l *limited) ReadAt(b []byte, at int64) (int, error) {
	l.left -= len(b)
	if l.left < 0 {
		l.out = true
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.r.ReadAt(b, at)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}
