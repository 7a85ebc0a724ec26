package runlog

// embedded reports whether figures are of embeddings. An encoder that is taught classes has
// none, and 0 in their places.
func embedded(std, rank float64, collapsed bool) bool { return std != 0 || rank != 0 || collapsed }

// Embedded reports whether the figures that show a collapse are of embeddings; else they are
// 0 and mean nothing.
func (e *Epoch) Embedded() bool { return embedded(e.EmbeddingStd, e.Rank, e.Collapsed) }

// Embedded is that of the last epoch.
func (s *Summary) Embedded() bool { return embedded(s.EmbeddingStd, s.Rank, s.Collapsed) }
