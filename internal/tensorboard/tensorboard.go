// Package tensorboard writes event files that TensorBoard reads: records of TFRecord files,
// each with an Event as a protobuf message.
package tensorboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"vicreg/internal/durable"
)

// Folder is where event files lie in the folder of a run.
const Folder = "tensorboard"

// prefix is what TensorBoard knows event files by: "tfevents" in their names
// (tensorboard/backend/event_processing/io_wrapper.py). It reads those of a folder in the
// order of their names.
const prefix = "events.out.tfevents."

// Writer appends events to a file of its own. After its first error it writes nothing more
// and returns that error.
type Writer struct {
	file *durable.Tail
	path string
	buf  []byte // of records that are not written yet
	body []byte // of the event that is made
	now  func() time.Time
	err  error
}

// most is how many bytes of records wait to be written.
const most = 1 << 16

// Open begins a new event file in a folder, which it makes, after those that are there. step
// is the first of the steps that it will hold: TensorBoard drops what earlier files have of
// that step and of later ones.
func Open(folder string, step int) (*Writer, error) { return open(folder, step, time.Now) }

func open(folder string, step int, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("%s cannot be made: %w", folder, durable.Reason(err))
	}
	begun, err := next(folder, now().Unix())
	if err != nil {
		return nil, err
	}
	w := &Writer{now: now, path: filepath.Join(folder, fmt.Sprintf("%s%010d.vicreg", prefix, begun))}
	if w.file, err = durable.Append(w.path, 0); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", w.path, durable.Reason(err))
	}
	// Version 2 has TensorBoard heed the start of a session
	// (tensorboard/backend/event_processing/event_accumulator.py).
	w.event(0, func(b []byte) []byte {
		return protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "brain.Event:2")
	})
	if step > 1 {
		w.event(step, func(b []byte) []byte { // SessionLog with status START
			b = protowire.AppendTag(b, 7, protowire.BytesType)
			return protowire.AppendBytes(b, []byte{1 << 3, 1})
		})
	}
	return w, w.Flush()
}

// next returns a time, in seconds, for the name of a file that comes after all others.
func next(folder string, now int64) (int64, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s cannot be read: %w", folder, durable.Reason(err))
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok {
			continue
		}
		seconds, _, _ := strings.Cut(rest, ".")
		if t, err := strconv.ParseInt(seconds, 10, 64); err == nil && t < math.MaxInt32 {
			now = max(now, t+1)
		}
	}
	return now, nil
}

// Path is the file's.
func (w *Writer) Path() string { return w.path }

// event appends an Event (tensorflow/core/util/event.proto) of a step.
func (w *Writer) event(step int, what func([]byte) []byte) {
	if w.err != nil {
		return
	}
	seconds := float64(w.now().UnixMicro()) / 1e6
	b := protowire.AppendFixed64(protowire.AppendTag(w.body[:0], 1, protowire.Fixed64Type), math.Float64bits(seconds))
	if step != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(step))
	}
	w.body = what(b)
	w.buf = record(w.buf, w.body)
	if len(w.buf) >= most {
		w.Flush()
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of TFRecord files (tensorflow/core/lib/hash/crc32c.h).
func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// record appends a record: its length, a checksum of that, its bytes, and a checksum of
// those (tensorflow/core/lib/io/record_writer.h).
func record(to, data []byte) []byte {
	at := len(to)
	to = binary.LittleEndian.AppendUint64(to, uint64(len(data)))
	to = binary.LittleEndian.AppendUint32(to, masked(to[at:]))
	to = append(to, data...)
	return binary.LittleEndian.AppendUint32(to, masked(data))
}

// Scalar is a number with its name.
type Scalar struct {
	Tag   string
	Value float64
}

// Scalars adds numbers of a step.
func (w *Writer) Scalars(step int, all []Scalar) {
	w.event(step, func(b []byte) []byte {
		size := 0
		for _, s := range all {
			size += 1 + protowire.SizeBytes(scalarSize(s))
		}
		b = protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.BytesType), uint64(size)) // a Summary
		for _, s := range all {
			b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.BytesType), uint64(scalarSize(s)))
			b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), s.Tag)
			b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(float32(s.Value)))
		}
		return b
	})
}

// scalarSize is how many bytes a Summary.Value of a number takes.
func scalarSize(s Scalar) int { return 1 + protowire.SizeBytes(len(s.Tag)) + 5 }

// value adds a Summary of one value, whose field holds a message.
func (w *Writer) value(step int, tag string, field protowire.Number, message []byte) {
	w.event(step, func(b []byte) []byte {
		v := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), tag)
		v = protowire.AppendBytes(protowire.AppendTag(v, field, protowire.BytesType), message)
		summary := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), v)
		return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), summary)
	})
}

// buckets is how many a histogram has.
const buckets = 30

// Histogram adds how values are spread, which are finite, as a HistogramProto
// (tensorflow/core/framework/summary.proto).
func (w *Writer) Histogram(step int, tag string, values []float64) {
	if len(values) == 0 {
		return
	}
	lo, hi, sum, squares := math.Inf(1), math.Inf(-1), 0.0, 0.0
	for _, v := range values {
		lo, hi, sum, squares = min(lo, v), max(hi, v), sum+v, squares+v*v
	}
	var limits, counts [buckets]float64
	wide := (hi - lo) / buckets
	for i := range limits {
		limits[i] = lo + float64(i+1)*wide
	}
	limits[buckets-1] = hi
	for _, v := range values {
		at := buckets - 1
		if wide > 0 {
			at = min(at, int((v-lo)/wide))
		}
		counts[at]++
	}
	var b []byte
	for i, v := range []float64{lo, hi, float64(len(values)), sum, squares} {
		b = protowire.AppendTag(b, protowire.Number(i+1), protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(v))
	}
	for field, list := range [][buckets]float64{limits, counts} {
		b = protowire.AppendTag(b, protowire.Number(6+field), protowire.BytesType)
		b = protowire.AppendVarint(b, 8*buckets)
		for _, v := range list {
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	w.value(step, tag, 5, b)
}

// Image adds a picture in colour, PNG or JPEG.
func (w *Writer) Image(step int, tag string, width, height int, file []byte) {
	var b []byte
	for i, v := range []int{height, width, 3} {
		b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(i+1), protowire.VarintType), uint64(v))
	}
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), file)
	w.value(step, tag, 4, b)
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		if _, err := w.file.Write(w.buf); err != nil {
			w.err = fmt.Errorf("%s cannot be written: %w", w.path, err)
		}
	}
	w.buf = w.buf[:0]
	return w.err
}

// Close writes what waits and closes the file.
func (w *Writer) Close() error {
	err := w.Flush()
	if closed := w.file.Close(); err == nil && closed != nil {
		err = fmt.Errorf("%s cannot be written: %w", w.path, durable.Reason(closed))
	}
	return err
}
