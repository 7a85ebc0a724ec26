package tensorboard

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"vicreg/internal/durable"
)

func TestChecksum(t *testing.T) {
	// The check value of CRC-32C (RFC 3720, B.4, and the Castagnoli catalogue), masked by hand.
	if got := crc32.Checksum([]byte("123456789"), castagnoli); got != 0xe3069283 {
		t.Errorf("CRC-32C is %08x", got)
	}
	if got := masked([]byte("123456789")); got != mask(0xe3069283) {
		t.Errorf("masked it is %08x", got)
	}
	// The first bytes of the event files that TensorFlow writes: a record of 24 bytes.
	if got := hex.EncodeToString(record(nil, make([]byte, 24))[:12]); got != "1800000000000000a37f4b22" {
		t.Errorf("a record of 24 bytes begins with %s", got)
	}
}

func mask(sum uint32) uint32 {
	turned := uint64(sum)*(1<<17)%(1<<32) + uint64(sum)/(1<<15)
	return uint32((turned + 0xa282ead8) % (1 << 32))
}

// event is an Event as a reader sees it.
type event struct {
	time    float64
	step    int
	version string
	start   bool
	scalars map[string]float32
	histo   map[string][]float64 // min, max, num, sum, squares, limits and counts
	images  map[string]string
}

// fields calls f with every field of a message.
func fields(t *testing.T, b []byte, f func(n protowire.Number, bits uint64, inner []byte)) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			t.Fatal("no tag")
		}
		b = b[size:]
		var bits uint64
		var inner []byte
		switch kind {
		case protowire.VarintType:
			bits, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, size = protowire.ConsumeFixed32(b)
			bits = uint64(v)
		default:
			inner, size = protowire.ConsumeBytes(b)
		}
		if size < 0 {
			t.Fatalf("field %d is cut short", n)
		}
		f(n, bits, inner)
		b = b[size:]
	}
}

// read reads an event file and checks every checksum. A last record that is cut short is left
// out.
func read(t *testing.T, path string) (all []event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		if len(b) < 16 || uint64(len(b)-16) < binary.LittleEndian.Uint64(b) {
			return all
		}
		n := binary.LittleEndian.Uint64(b)
		table := crc32.MakeTable(0x82f63b78)
		if mask(crc32.Checksum(b[:8], table)) != binary.LittleEndian.Uint32(b[8:]) {
			t.Fatal("the checksum of a length is wrong")
		}
		body := b[12:][:n]
		if mask(crc32.Checksum(body, table)) != binary.LittleEndian.Uint32(b[12+n:]) {
			t.Fatal("the checksum of a record is wrong")
		}
		b = b[16+n:]
		e := event{scalars: map[string]float32{}, histo: map[string][]float64{}, images: map[string]string{}}
		fields(t, body, func(n protowire.Number, bits uint64, inner []byte) {
			switch n {
			case 1:
				e.time = math.Float64frombits(bits)
			case 2:
				e.step = int(bits)
			case 3:
				e.version = string(inner)
			case 7:
				fields(t, inner, func(n protowire.Number, bits uint64, _ []byte) { e.start = n == 1 && bits == 1 })
			case 5:
				fields(t, inner, func(_ protowire.Number, _ uint64, value []byte) { e.value(t, value) })
			}
		})
		all = append(all, e)
	}
	return all
}

func (e *event) value(t *testing.T, value []byte) {
	tag := ""
	fields(t, value, func(n protowire.Number, bits uint64, inner []byte) {
		switch n {
		case 1:
			tag = string(inner)
		case 2:
			e.scalars[tag] = math.Float32frombits(uint32(bits))
		case 4:
			fields(t, inner, func(n protowire.Number, bits uint64, inner []byte) {
				e.images[tag] += string(inner)
			})
		case 5:
			fields(t, inner, func(n protowire.Number, bits uint64, inner []byte) {
				if n < 6 {
					e.histo[tag] = append(e.histo[tag], math.Float64frombits(bits))
				}
				for ; len(inner) > 0; inner = inner[8:] {
					e.histo[tag] = append(e.histo[tag], math.Float64frombits(binary.LittleEndian.Uint64(inner)))
				}
			})
		}
	})
}

func TestWrittenAndRead(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run", Folder)
	at := time.Unix(1_700_000_000, 500_000_000)
	w, err := open(folder, 1, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	w.Scalars(7, []Scalar{{"loss", 1.5}, {"näme", -2}})
	w.Histogram(7, "std", []float64{0, 1, 2, 3, 3})
	w.Histogram(8, "alike", []float64{2, 2})
	w.Image(0, "views", 3, 2, []byte("PNG"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(w.Path()); name != "events.out.tfevents.1700000000.vicreg" {
		t.Errorf("the file is called %s", name)
	}
	all := read(t, w.Path())
	if len(all) != 5 {
		t.Fatalf("%d events, want 5", len(all))
	}
	if all[0].version != "brain.Event:2" || all[0].time != 1_700_000_000.5 {
		t.Errorf("the first event is %+v", all[0])
	}
	if e := all[1]; e.step != 7 || !reflect.DeepEqual(e.scalars, map[string]float32{"loss": 1.5, "näme": -2}) {
		t.Errorf("scalars are %+v", e)
	}
	h := all[2].histo["std"]
	if !slices.Equal(h[:5], []float64{0, 3, 5, 9, 23}) || len(h) != 5+2*buckets {
		t.Fatalf("the histogram is %v", h)
	}
	limits, counts := h[5:5+buckets], h[5+buckets:]
	if limits[0] != 0.1 || limits[buckets-1] != 3 ||
		counts[0] != 1 || counts[10] != 1 || counts[20] != 1 || counts[29] != 2 {
		t.Errorf("limits %v, counts %v", limits, counts)
	}
	if h := all[3].histo["alike"]; h[len(h)-1] != 2 {
		t.Errorf("equal values are counted %v", h)
	}
	if all[4].images["views"] != "PNG" {
		t.Errorf("the image is %q", all[4].images)
	}
}

// A run that lost steps and does them again begins a file after all others, which tells from
// which step on the others are void.
func TestRestart(t *testing.T) {
	folder := t.TempDir()
	now := func() time.Time { return time.Unix(1000, 0) }
	var names []string
	for _, step := range []int{1, 5, 5} {
		w, err := open(folder, step, now)
		if err != nil {
			t.Fatal(err)
		}
		w.Scalars(step, []Scalar{{"loss", 1}})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Base(w.Path()))
		all := read(t, w.Path())
		if restarted := all[1].start && all[1].step == step; restarted != (step > 1) {
			t.Errorf("step %d: events %+v", step, all)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != 3 {
		t.Errorf("files are called %v", names)
	}
}

func TestFailingDisk(t *testing.T) {
	w, err := Open(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	restore := durable.Inject(func(op, path string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	defer restore()
	w.Scalars(1, []Scalar{{"loss", 1}})
	if err := w.Flush(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a full disk gives %v", err)
	}
	restore()
	w.Scalars(2, []Scalar{{"loss", 1}})
	if w.Close() == nil {
		t.Error("the error is forgotten")
	}
	if got := len(read(t, w.Path())); got != 1 {
		t.Errorf("the file has %d events", got)
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	w, err := Open(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	all := []Scalar{{"loss", 1}, {"invariance", 2}}
	if n := testing.AllocsPerRun(2000, func() { w.Scalars(3, all) }); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}
