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
	s, own := &m.pieces, b.Views[0].Shape[0]
	n := own * m.ranks.group.Size()
	if s.z == nil {
		s.z, s.p = make([][]float32, len(m.z)), make([][]float32, len(m.z))
	}
	for from := 0; from < own; from = s.to(from, own) {
		to := s.to(from, own)
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

// read sets the rows of a piece, which begins at from of this rank's rows, to what a branch
// made of it.
func (m *core) read(rows []float32, a nn.Act, from int) {
	at := m.ranks.start(from, from+a.N)
	part := rows[at*a.C : (at+a.N)*a.C : (at+a.N)*a.C]
	copy(part, m.joint.Read(a, &part)) // from another device they come right here
	m.ranks.share(rows, from, from+a.N, a.C)
}

// embedPieces is forwardPieces for embeddings that stay on the device.
func (m *core) embedPieces(b *batch.Batch) {
	s, own, dev := &m.pieces, b.Views[0].Shape[0], m.joint.Device()
	n := own * m.ranks.group.Size()
	if s.far == nil {
		s.far = make([]device.Array, len(m.z))
	}
	for from := 0; from < own; from = s.to(from, own) {
		to := s.to(from, own)
		for i := range m.stays {
			v := m.joint.Embed(i, b.Views[i], from, to)
			m.n, m.d = n, v.Z.C
			m.stays[i] = stays{device.Room(dev, &s.far[i], device.Float32, n*m.d),
				device.Room(dev, &m.cross[i].dz, device.Float32, n*m.d)}
			if r := m.ranks.group.Size(); r > 1 {
				x := &m.cross[i]
				dev.Up(m.stays[i].z.Slice(from*r*m.d, to*r*m.d), m.gathered(&x.allZ, m.joint.Read(v.Z, &x.z), to-from))
				continue
			}
			dev.Copy(m.stays[i].z.Slice(from*m.d, to*m.d), v.Z.X)
		}
	}
}

// backwardPieces takes the pieces forward once more, and the gradients of their embeddings
// down to the parameters, where they add up.
func (m *core) backwardPieces() {
	s := &m.pieces
	for from := 0; from < m.own(); from = s.to(from, m.own()) {
		to := s.to(from, m.own())
		for i := len(m.z) - 1; i >= 0; i-- {
			m.joint.Again(i, s.batch.Views[i], from, to)
			var dp device.Array
			if m.p[i] != nil {
				dp = device.Lift(m.joint.Device(), &m.cross[i].dp, m.ours(m.dp[i], from, to))
			}
			m.joint.Backward(i, m.gradOf(i, from, to), dp)
		}
	}
	m.joint.Finish()
	m.ranks.sum(m.joint.Params())
	for i := range m.z {
		m.z[i], m.p[i], m.stays[i].z = nil, nil, device.Array{}
	}
	s.batch = nil
}

// gradOf returns the gradient of the embeddings of this rank's items from..to of view i.
func (m *core) gradOf(i, from, to int) device.Array {
	dev, x := m.joint.Device(), &m.cross[i]
	if m.z[i] != nil {
		return device.Lift(dev, &x.dz, m.ours(m.dz[i], from, to))
	}
	if to-from == m.n {
		return m.stays[i].dz
	}
	part, at := device.Room(dev, &m.pieces.dz, device.Float32, (to-from)*m.d), m.ranks.start(from, to)
	dev.Copy(part, m.stays[i].dz.Slice(at*m.d, (at+to-from)*m.d))
	return part
}

// forwardPieces is forward for a batch that goes through in pieces.
func (t *target) forwardPieces(b *batch.Batch) {
	n := b.Views[0].Shape[0]
	for from := 0; from < n; from += t.rows {
		to := min(from+t.rows, n)
		for i := range t.keys {
			v := t.joint.Embed(i, b.Views[i], from, to)
			t.keep(i, v.Z, from, n)
			t.joint.Release(0)
		}
	}
}
