package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// refused opens bytes, which must fail with one sentence, soon and in little memory.
func refused(t *testing.T, b []byte, want string) {
	t.Helper()
	check.Bounded(t, 50, 2*time.Second, func() {
		f, err := open(b)
		if err == nil {
			t.Errorf("it was opened, with %d tensors; want %q", len(f.list), want)
			return
		}
		sentence(t, err)
		if got := err.Error(); !strings.HasPrefix(got, "x.pth "+want) {
			t.Errorf("error\n%s\nwant\nx.pth %s", got, want)
		}
	})
}

// sentence fails unless an error is a line of moderate length.
func sentence(t testing.TB, err error) {
	t.Helper()
	s := err.Error()
	if len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("error %.1200q", s)
	}
}

// Whatever is no file of weights is told from the others, in one sentence with what to do.
func TestStrangers(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar")
	numpy := zipped(t, entry{"a.npy", "\x93NUMPY"})
	for want, b := range map[string][]byte{
		"is empty: download or copy it again": nil,
		"is a web page, not weights: the address led to a page about them, so download the file itself": []byte("\n<!DOCTYPE html><html>"),
		"is a JSON text, not weights": []byte(`{"error": "not found"}`),
		"is a pointer of Git LFS, not the weights it stands for: fetch them with git lfs pull, or download the file itself": []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
		"is a safetensors file: give it the ending .safetensors":                                                            []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"),
		"is compressed with gzip: unpack it first":                                                                          []byte("\x1f\x8b\x08"),
		"is a tar archive: unpack it; if it is a file of PyTorch 0.1 itself":                                                tar,
		"is an HDF5 file, as Keras writes":                                                                                  []byte("\x89HDF\r\n\x1a\n"),
		"is an array of NumPy, not a file of PyTorch":                                                                       []byte("\x93NUMPY\x01"),
		`is not a file of torch.save: it begins with "\x00\x01ab"`:                                                          []byte("\x00\x01ab"),
		"is a Python pickle that torch.save did not write":                                                                  fixture(t, "plain.pth"),
		"is an archive of NumPy arrays, not a file of PyTorch":                                                              numpy,
		"is a zip file that torch.save did not write: it has no data.pkl":                                                   zipped(t, entry{"a.txt", ""}),
		"is a zip file with nothing in it":                                                                                  zipped(t),
		`is a TorchScript archive, a model with its code, which is not run: in Python, save the weights alone with torch.save(torch.jit.load("x.pth").state_dict(), "weights.pth")`: fixture(t, "script.pth"),
		"was packed anew: its entry alone/data.pkl is compressed, and torch.save writes plain ones":                                                                                 fixture(t, "packed.pth"),
		"holds a whole model as Python code knows it (torch.nn.modules.linear.Linear), not its weights alone":                                                                       fixture(t, "model.pth"),
		"holds no tensors: it is not a file of weights":                                                                                                                             saved(t, mapped(), ""),
		"holds its numbers in the byte order of a big-endian machine":                                                                                                               zipped(t, entry{"a/data.pkl", mapped()}, entry{"a/byteorder", "big"}),
	} {
		t.Run(want, func(t *testing.T) { refused(t, b, want) })
	}
	refused(t, fixture(t, "model_legacy.pth"), "holds a whole model as Python code knows it (torch.nn.modules.linear.Linear)")
	dir := t.TempDir()
	for path, want := range map[string]string{dir: "is not a regular file", filepath.Join(dir, "none.pth"): "cannot read"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
}

// A file that would have PyTorch run something is refused by name, wherever it names it.
func TestNothingIsCalled(t *testing.T) {
	refused(t, fixture(t, "malicious.pth"), "is refused: it would have PyTorch run posix.system, which can do anything to your machine and is in no file of weights; nothing of it was run")
	run := "is refused: it would have PyTorch run "
	call := "is refused: it would have PyTorch call "
	for pickle, want := range map[string]string{
		mapped(text("w"), vector(1), text("x"), called("posix.system", text("true"))):             run + "posix.system",
		mapped(text("w"), vector(1), text("x"), naming("os.system")):                              run + "os.system",
		mapped(text("x"), called("builtins.eval", text("1"))):                                     run + "builtins.eval",
		mapped(text("x"), called("__builtin__.eval", text("1"))):                                  run + "builtins.eval",
		mapped(text("x"), called("builtins.getattr", naming("torch.Size"), text("x"))):            run + "builtins.getattr",
		mapped(text("x"), "(ios\nsystem\n"):                                                       run + "os.system",
		mapped(text("x"), "("+naming("subprocess.Popen")+text("x")+"o"):                           run + "subprocess.Popen",
		"\x80\x04" + text("os.path") + text("join") + "\x93.":                                     run + "os.path.join",
		mapped(text("x"), called("torch.hub.load", text("a"))):                                    call + "torch.hub.load",
		mapped(text("x"), naming("my.Config")+")\x81"):                                            call + "my.Config, which is not among the harmless names",
		mapped(text("x"), naming("my.Config")+")}\x92"):                                           call + "my.Config",
		mapped(text("x"), called("copy_reg._reconstructor", naming("a.B"), naming("b.C"), "N")):   call + "a.B",
		mapped(text("x"), "\x80\x04"+text("omegaconf")+text("os.system")+"\x93)R"):                call + "omegaconf.os.system",
		mapped(text("x"), called("torch._tensor._rebuild_from_type_v2", naming("a.b"), "N", ")")): call + "a.b",
		mapped(text("x"), called("torch.storage._load_from_bytes", text("x"))):                    call + "torch.storage._load_from_bytes",
		mapped(text("x"), called("numpy.testing._private.utils.runstring", text("x"), "}")):       call + "numpy.testing._private.utils.runstring",
		mapped(text("x"), called("my\x1b[2J.\u202eC")):                                            call + `"my\x1b[2J.\u202eC"`,
		mapped(text("x"), naming("torch.FloatStorage")+")R"):                                      "is damaged",
		mapped(text("x"), text("no class")+")R"):                                                  "is damaged",
	} {
		refused(t, saved(t, pickle, "1234"), want)
		refused(t, legacy(pickle, 1, "1234"), want)
	}
	if _, err := os.Stat("/tmp/owned"); err == nil {
		t.Error("the malicious file was run")
	}
}

// Sizes that are claimed and not there.
func TestClaims(t *testing.T) {
	const huge = 1 << 40
	f32 := func(offset int64, shape, stride string) string {
		return mapped(text("w"), viewed(stored("FloatStorage", 2), offset, shape, stride))
	}
	const beyond = "is damaged or made up: it has a tensor of shape "
	for pickle, want := range map[string]string{
		mapped(text("w"), vector(huge)):                                    "is damaged, cut short or made up: its storage \"0\" claims 1099511627776 numbers of type float32, and only ",
		mapped(text("w"), vector(math.MaxInt64)):                           "is damaged, cut short or made up: its storage \"0\" claims 9223372036854775807 numbers of type float32, and only ",
		mapped(text("w"), vector(-1)):                                      "is damaged",
		f32(0, wholes(huge), wholes(0)):                                    beyond + "[1099511627776], which does not fit the 8 bytes that it takes its numbers from",
		f32(0, wholes(1<<32, 1<<32), wholes(0, 0)):                         beyond,
		f32(0, wholes(1<<62, 1<<62, 1<<62), wholes(0, 0, 0)):               beyond,
		f32(0, wholes(2), wholes(math.MaxInt64)):                           beyond,
		f32(0, wholes(2, 2), wholes(1<<62, 1<<62)):                         beyond,
		f32(2, wholes(1), wholes(1)):                                       beyond,
		f32(math.MaxInt64, wholes(2), wholes(1)):                           beyond,
		f32(0, wholes(3), wholes(1)):                                       beyond,
		f32(0, wholes(2), wholes(-1)):                                      "is damaged",
		f32(-1, wholes(2), wholes(1)):                                      "is damaged",
		f32(0, wholes(-1), wholes(1)):                                      "is damaged",
		f32(0, wholes(2), wholes(1, 1)):                                    "is damaged",
		f32(0, wholes(make([]int64, 65)...), wholes(make([]int64, 65)...)): "is damaged",
		"\x80\x02X\xff\xff\xff\xff":                                        "was cut short in its list of tensors",
		"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc":                  "was cut short in its list of tensors",
		"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x40abc":                  "was cut short in its list of tensors",
		"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff]r\xff\xff\xff\xff.":  "is damaged",
		"\x80\x02\x8b\xff\xff\xff\x7f1":                                    "was cut short in its list of tensors",
		"\x80\x02]":                                                        "was cut short in its list of tensors",
		"\x80\x02.":                                                        "is damaged: its list of tensors makes no sense at byte 3",
		"\x80\x02}(Nu.":                                                    "is damaged",
		"\x80\x02(.":                                                       "is damaged",
		"\x80\x02h\x07.":                                                   "is damaged",
		"\x80\x02q\x00.":                                                   "is damaged",
		"\x80\x02}(0N\x85t.":                                               "is damaged",
		"\x80\x06.":                                                        "is a pickle of protocol 6, and those up to 5 are known",
		"\x80\x02\xff.":                                                    "is damaged",
	} {
		refused(t, saved(t, pickle, "12345678"), want)
		if !strings.HasPrefix(want, beyond) {
			want = "" // pickles follow one another there, so that an end that is missing shows later
		}
		refused(t, legacy(pickle, 2, "12345678"), want)
	}
	refused(t, zipped(t, entry{"a/data.pkl", mapped(text("w"), vector(1))}),
		"was cut short or is damaged: it has no entry a/data/0, which its list of tensors names")
}

// Small pickles that grow, and large ones, take bounded memory.
func TestBombs(t *testing.T) {
	const n = 4 << 20
	laughs := func(first, wrap string) string {
		b := []byte("\x80\x02" + first + "q\x00")
		for i := range 100 {
			b = append(b, "("+strings.Repeat("h"+string([]byte{byte(i)}), 10)+wrap+"q"+string([]byte{byte(i + 1)})...)
		}
		return string(b) + "."
	}
	dicts := []byte("\x80\x02}K\x00" + vector(1) + "sq\x00")
	for i := range 60 {
		get := "h" + string([]byte{byte(i)})
		dicts = append(dicts, "}("+text("a")+get+text("b")+get+"uq"+string([]byte{byte(i + 1)})...)
	}
	many := func(one string) string { return "\x80\x02" + strings.Repeat(one, n/len(one)) + "." }
	for what, c := range map[string]struct{ pickle, want string }{
		"lists of lists":   {laughs("]", "l"), "holds no tensors"},
		"tuples":           {laughs(")", "t"), "is refused: its lists and dictionaries repeat one another without end, as no weights do"},
		"lists of tensors": {laughs(vector(1), "l"), "is refused: it has more tensors than 32 MiB of memory hold the names of"},
		"dicts of tensors": {string(dicts) + ".", "is refused: it has more tensors than 32 MiB of memory hold the names of"},
		"sets":             {laughs("K\x01\x85", "\x91"), "holds no tensors"},
		"numbers":          {laughs("}"+text("a")+"K\x01s", "l"), "is refused: "},
		"depth":            {"\x80\x02" + strings.Repeat("]", 5000) + strings.Repeat("a", 4999) + ".", "is refused: it has more than 100 lists or dictionaries in one another, as no weights do"},
		"deep tuples":      {"\x80\x02)" + strings.Repeat("\x85", n) + ".", "is refused: what it holds beside the tensors' data takes more than 32 MiB of memory"},
		"empty lists":      {many("]"), "is refused: what"},
		"empty dicts":      {many("}"), "is refused: what"},
		"nothing":          {many("N"), "is refused: what"},
		"marks":            {many("("), "is refused: what"},
		"doubles":          {"\x80\x02N" + strings.Repeat("2", n) + ".", "is refused: what"},
		"memo":             {"\x80\x04]" + strings.Repeat("\x94", n) + ".", "is refused: what"},
		"numbers of text":  {many("I12345678901\n0"), ""},
		"long numbers":     {many("L" + strings.Repeat("9", 4000) + "L\n0"), ""},
		"longer numbers":   {many("\x8a\xff" + strings.Repeat("9", 255) + "0"), ""},
		"texts":            {many(text(strings.Repeat("a", 1000)) + "0"), ""},
		"long texts":       {many(text(strings.Repeat("a", n/2)) + "0"), ""},
		"a long line":      {"\x80\x02c" + strings.Repeat("a", n), "is damaged: its list of tensors has a line of more than 4096 bytes at byte 3"},
		"names":            {many("ca\nb\n0"), "is refused: what"},
		"tensors":          {"\x80\x02]" + strings.Repeat(vector(1)+"a", 100_000) + ".", "is refused: what"},
		"classes": {"\x80\x02" + func() string {
			var b strings.Builder
			for i := range 2000 {
				b.WriteString("cenum\nA" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "\n)\x810")
			}
			return b.String()
		}() + ".", "is refused: it names more than 1000 different classes"},
		"escapes":    {many(`V` + strings.Repeat(`\u0041`, 600) + "\n0"), ""},
		"persistent": {many(stored("FloatStorage", 1) + "0"), ""},
		"gaps":       {"\x80\x02]" + strings.Repeat("r\x00\x04\x00\x00", 10) + "r\xff\xff\x00\x00.", "is damaged"},
	} {
		t.Run(what, func(t *testing.T) {
			refused(t, saved(t, c.pickle, "1234"), c.want)
		})
	}
	names := "\x80\x02}"
	for range 90 {
		names += text(strings.Repeat("n", 100)) + "}"
	}
	refused(t, saved(t, names+text("w")+vector(1)+strings.Repeat("s", 91)+".", "1234"),
		"is refused: the name of a tensor has more than 1000 bytes, as no weights do")
}

// The same storage behind many tensors does not make a small file claim much memory.
func TestManyViews(t *testing.T) {
	var b strings.Builder
	b.WriteString("\x80\x02]")
	one := viewed("h\x00", 0, wholes(1<<20), wholes(0))
	b.WriteString(stored("FloatStorage", 1) + "q\x00" + "0" + strings.Repeat(one+"a", 100) + ".")
	refused(t, saved(t, b.String(), "1234"), "is made up: its tensors claim 104857600 numbers, many times what its ")
}

// Entries of zip files: claimed sizes, places and numbers.
func TestArchives(t *testing.T) {
	plain := saved(t, mapped(text("w"), vector(1)), "1234")
	if _, err := open(plain); err != nil {
		t.Fatal(err)
	}
	directory := bytes.Index(plain, []byte("PK\x01\x02"))
	changed := func(at int, with ...byte) []byte {
		b := slices.Clone(plain)
		copy(b[at:], with)
		return b
	}
	storage := directory + bytes.Index(plain[directory:], []byte("archive/data/0")) - 46
	ends := len(plain) - 22
	for what, c := range map[string]struct {
		b    []byte
		want string
	}{
		"sizes":    {changed(storage+20, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f), "was cut short: its entry archive/data/0 claims 2147483647 bytes, and only "},
		"place":    {changed(storage+42, 0xff, 0xff, 0xff, 0x7f), "is damaged: its entry archive/data/0 is not where its list of entries says"},
		"length":   {changed(storage+20, 3, 0, 0, 0, 3), `is damaged, cut short or made up: its storage "0" claims 1 numbers of type float32, and only 3 bytes are there`},
		"method":   {changed(storage+10, 8), "was packed anew: its entry archive/data/0 is compressed"},
		"secret":   {changed(storage+8, 1), "was packed anew: its entry archive/data/0 is encrypted"},
		"number":   {changed(ends+8, 9, 0, 9, 0), "is damaged: the list of its entries makes no sense"},
		"comment":  {changed(ends+20, 1), "was cut short or is damaged: the list of its entries, at the end of a zip file, is missing"},
		"checksum": {changed(bytes.Index(plain, []byte("\x80\x02}"))+3, 'N'), "is damaged: the checksum of its entry archive/data.pkl differs from what is there"},
		"twice":    {zipped(t, entry{"a", ""}, entry{"a", ""}), "is damaged or made up: it has two entries a"},
	} {
		t.Run(what, func(t *testing.T) { refused(t, c.b, c.want) })
	}
	data := bytes.Index(plain, []byte("1234"))
	f, err := open(changed(data, 'x'))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Float32("w"); err == nil || err.Error() != `x.pth: its tensor w is damaged: the checksum of its entry archive/data/0 differs from what is there; download or copy it again` {
		t.Error(err)
	}
	unsummed := slices.Clone(plain)
	for at := directory; at+46 < ends; at += 46 + int(binary.LittleEndian.Uint16(unsummed[at+28:])) {
		copy(unsummed[at+16:], "\x00\x00\x00\x00")
	}
	if contents(t, unsummed) == nil { // as PyTorch writes them when told to leave checksums out
		t.Error("a file without checksums was refused")
	}
	many := make([]entry, 60_000)
	for i := range many {
		many[i].name = strings.Repeat("n", 50) + string(binary.BigEndian.AppendUint32(nil, uint32(i)|1<<31))
	}
	refused(t, zipped(t, many...), "is refused: it lists more entries than any weights need")
	end64 := "PK\x06\x06" + strings.Repeat("\x00", 28) + "\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x00", 16)
	b := []byte("PK\x03\x04" + strings.Repeat("\x00", 1<<20))
	at := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
	b = append(b, end64+"PK\x06\x07\x00\x00\x00\x00"+string(at)+"\x01\x00\x00\x00"+
		"PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"...)
	refused(t, b, "is refused: it lists more entries than any weights need")
	var over bytes.Buffer
	z := zip.NewWriter(&over)
	w, _ := z.Create("a/data.pkl")
	w.Write([]byte(mapped()))
	z.Close()
	refused(t, over.Bytes(), "was packed anew: its entry a/data.pkl is compressed")
}

// Wherever a file was cut, it is refused, or reads the same.
func TestTruncations(t *testing.T) {
	for _, name := range []string{"alone.pth", "types.pth", "types_legacy.pth", "malicious.pth"} {
		b := fixture(t, name)
		want := contents(t, b)
		for n := range len(b) {
			if got := contents(t, b[:n]); got != nil && !slices.Equal(got, want) {
				t.Errorf("%s: the first %d of %d bytes are %v", name, n, len(b), got)
			}
		}
	}
}

// Whatever bit is wrong, a file of the zip format is refused or reads the same: data have
// checksums there. In the old format only its list of tensors can tell.
func TestFlippedBits(t *testing.T) {
	for name, bits := range map[string]int{"alone.pth": 8, "list.pth": 1, "types_legacy.pth": 1} {
		b := fixture(t, name)
		want := contents(t, b)
		if want == nil {
			t.Fatal(name)
		}
		for i := range b {
			for bit := range bits {
				bit = (bit + i) % 8
				b[i] ^= 1 << bit
				got := contents(t, b)
				if b[i] ^= 1 << bit; got != nil && !slices.Equal(got, want) && !strings.Contains(name, "legacy") {
					t.Errorf("%s: with bit %d of byte %d wrong it is %v, want %v", name, bit, i, got, want)
				}
			}
		}
	}
}

// contents returns all values of a file, or nothing if it or one of its tensors is refused.
func contents(t testing.TB, b []byte) (all []uint32) {
	f, err := open(b)
	if err != nil {
		sentence(t, err)
		return nil
	}
	for _, i := range f.Tensors() {
		v, err := f.Float32(i.Name)
		if err != nil {
			sentence(t, err)
			return nil
		}
		for _, x := range v {
			all = append(all, math.Float32bits(x))
		}
	}
	return all
}
