package pretrained

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"vicreg/internal/device"
	"vicreg/internal/imagefile"
	"vicreg/internal/tensor"
)

// Prepare makes an image, one of [Meta.Fit], what the encoder reads, Values numbers, in dst,
// which grows.
func (m *Model) Prepare(dst []float32, img imagefile.Image) []float32 {
	r := rows.Get().(*row)
	defer rows.Put(r)
	dst = tensor.Grow(dst, m.Values())
	r.scratch.Plain(dst, img, m.Size, m.norm)
	return dst
}

// Values is how many numbers the encoder reads of an image.
func (m *Model) Values() int { return m.Size * m.Size * m.Channels() }

// Prepared returns the representations of images that Prepare made, one after the other.
// One that is not finite is an error, which names the image by its place.
func (m *Model) Prepared(ctx context.Context, values []float32) (y []float32, err error) {
	defer device.Catch(&err)
	n := len(values) / m.Values()
	if err := m.fitsMemory(n); err != nil {
		return nil, err
	}
	e := Embedder{Encoder: m.Encoder, engine: m.engine}
	y, err = m.engine.features(ctx, &e, make([]float32, 0, n*e.Dim()),
		tensor.From(values, n, m.Size, m.Size, m.Channels()))
	if err != nil {
		return nil, err
	}
	if i, ok := notFinite(y); ok {
		return nil, errNotFinite(fmt.Sprint(i/e.Dim()), i%e.Dim(), y[i])
	}
	return y, nil
}

// Weights is the checksum of the encoder's weights: models with the same one see images
// alike, whatever their files are called and whatever else is in them.
func (m *Model) Weights() string {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	buf := make([]byte, 4<<12)
	for _, p := range arrays(m.Encoder) {
		for v := p.Read(); len(v) > 0; {
			n := min(len(v), len(buf)/4)
			for i, x := range v[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
			}
			sum.Write(buf[:4*n])
			v = v[n:]
		}
	}
	return fmt.Sprintf("%08x", sum.Sum32())
}
