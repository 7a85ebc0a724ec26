package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// pieces are how a batch goes through the network if that is too much for the memory: a
// few items at a time, twice. The loss sees the embeddings of all of them, so it and the
// gradients are those of the whole batch; only batch normalisation sees one piece. Running
// statistics are updated once for each piece and view, the pieces in order and the views of
// each in order.
type pieces struct {
	rows  int          // of a piece, the last of which may have fewer; 0: batches go through whole
	batch *batch.Batch // that has still to go backward, or nil

	z, p [][]float32    // room for what the host reads, by view, n × d
	far  []device.Array // and for embeddings that stay on a device,
	dz   device.Array   // of which a piece's gradient is here
}

// pieceOf returns how many items go through together, 0: all.
func pieceOf(c recipe.Config) int {
	if c.Pieces() {
		return c.MicroBatch
	}
	return 0
}

// PieceRows returns how many rows of a step go through the expander of a branch in pieces, 0
// if they go whole.
func PieceRows(c recipe.Config) int {
	switch views := len(c.Crops()); {
	case !c.Pieces():
		return 0
	case c.Separate():
		return c.Batch * (views - 1)
	default:
		return c.Batch * views
	}
}

// cuts reports whether a batch goes through in pieces, and remembers it for the way back.
func (s *pieces) cuts(b *batch.Batch) bool {
	if s.batch = nil; s.rows > 0 && b.Views[0].Shape[0] > s.rows {
		s.batch = b
	}
	return s.batch != nil
}

// to is where the piece of n items ends that begins at from.
func (s *pieces) to(from, n int) int { return min(from+s.rows, n) }

// free gives back the memory of a device.
func (s *pieces) free(d device.Device) {
	for _, a := range append(s.far, s.dz) {
		d.Free(a)
	}
	s.far, s.dz = nil, device.Array{}
}

// forwardPieces takes the pieces of all views forward, whose embeddings and predictions come
// to the host.
func (m *core) forwardPieces(b *batch.Batch) {
	s, n := &m.pieces, b.Views[0].Shape[0]
	if s.z == nil {
		s.z, s.p = make([][]float32, len(m.z)), make([][]float32, len(m.z))
	}
	for from := 0; from < n; from = s.to(from, n) {
		to := s.to(from, n)
		for i := range m.z {
			v := m.joint.Embed(i, b.Views[i], from, to)
			m.n, m.d = n, v.Z.C
			s.z[i] = tensor.Grow(s.z[i], n*m.d)
			m.read(s.z[i], v.Z, from)
			if !v.P.X.None() {
				s.p[i] = tensor.Grow(s.p[i], n*m.d)
				m.read(s.p[i], v.P, from)
			}
		}
	}
	for i := range m.z {
		m.z[i], m.dz[i] = s.z[i], tensor.Grow(m.dz[i], n*m.d)
		if s.p[i] != nil {
			m.p[i], m.dp[i] = s.p[i], tensor.Grow(m.dp[i], n*m.d)
		}
	}
}

// read sets the rows from one on to what a branch made of a piece.
func (m *core) read(rows []float32, a nn.Act, from int) {
	part := rows[from*a.C : (from+a.N)*a.C : (from+a.N)*a.C]
	copy(part, m.joint.Read(a, &part)) // from another device they come right here
}

// embedPieces is forwardPieces for embeddings that stay on the device.
func (m *core) embedPieces(b *batch.Batch) {
	s, n, dev := &m.pieces, b.Views[0].Shape[0], m.joint.Device()
	if s.far == nil {
		s.far = make([]device.Array, len(m.z))
	}
	for from := 0; from < n; from = s.to(from, n) {
		to := s.to(from, n)
		for i := range m.stays {
			v := m.joint.Embed(i, b.Views[i], from, to)
			m.n, m.d = n, v.Z.C
			m.stays[i] = stays{device.Room(dev, &s.far[i], device.Float32, n*m.d),
				device.Room(dev, &m.cross[i].dz, device.Float32, n*m.d)}
			dev.Copy(m.stays[i].z.Slice(from*m.d, to*m.d), v.Z.X)
		}
	}
}

// backwardPieces takes the pieces forward once more, and the gradients of their embeddings
// down to the parameters, where they add up.
func (m *core) backwardPieces() {
	s := &m.pieces
	for from := 0; from < m.n; from = s.to(from, m.n) {
		to := s.to(from, m.n)
		for i := len(m.z) - 1; i >= 0; i-- {
			m.joint.Again(i, s.batch.Views[i], from, to)
			var dp device.Array
			if m.p[i] != nil {
				dp = device.Lift(m.joint.Device(), &m.cross[i].dp, m.dp[i][from*m.d:to*m.d])
			}
			m.joint.Backward(i, m.gradOf(i, from, to), dp)
		}
	}
	m.joint.Finish()
	for i := range m.z {
		m.z[i], m.p[i], m.stays[i].z = nil, nil, device.Array{}
	}
	s.batch = nil
}

// gradOf returns the gradient of the embeddings of items from..to of view i.
func (m *core) gradOf(i, from, to int) device.Array {
	dev, x := m.joint.Device(), &m.cross[i]
	if m.z[i] != nil {
		return device.Lift(dev, &x.dz, m.dz[i][from*m.d:to*m.d])
	}
	part := device.Room(dev, &m.pieces.dz, device.Float32, (to-from)*m.d)
	dev.Copy(part, m.stays[i].dz.Slice(from*m.d, to*m.d))
	return part
}

// forwardPieces is forward for a batch that goes through in pieces.
func (t *target) forwardPieces(b *batch.Batch) {
	n := b.Views[0].Shape[0]
	for from := 0; from < n; from += t.rows {
		to := min(from+t.rows, n)
		for i := range t.keys {
			v := t.joint.Embed(i, b.Views[i], from, to)
			t.keys[i] = append(t.keys[i], t.joint.Read(v.Z, &t.room)...)
			t.joint.Release(0)
		}
	}
}
