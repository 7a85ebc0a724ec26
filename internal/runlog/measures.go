package runlog

// Measures are what features tell without labels, of two or more views of each of some
// images. docs/evaluation.md says what each is and what a good value looks like.
type Measures struct {
	Width       int      `json:"width"`       // values of a feature
	Std         float64  `json:"std"`         // standard deviation, mean over the values of a feature
	Correlation float64  `json:"correlation"` // absolute correlation of two values, mean over all pairs
	RankMe      float64  `json:"rankme"`      // effective rank, not centred; higher is better
	LiDAR       float64  `json:"lidar"`       // effective rank of what tells images apart; higher is better
	AlphaReQ    *float64 `json:"alpha_req"`   // exponent of the eigenvalues' decay, near 1 is good; null: not known
	Alignment   float64  `json:"alignment"`   // of views of an image; lower is better
	Uniformity  float64  `json:"uniformity"`  // of images on the sphere; lower is better
}

// Layers are the measures of an encoder's output and of its expander's.
type Layers struct {
	Representation Measures  `json:"representation"`
	Embedding      *Measures `json:"embedding,omitempty"` // nil: there is no expander
}

// Unlabelled are the measures of a run's encoder and of the same one untrained.
type Unlabelled struct {
	Trained   Layers `json:"trained"`
	Untrained Layers `json:"untrained"`
	Images    int    `json:"images"`   // of which views were drawn
	Views     int    `json:"views"`    // of each
	HeldOut   bool   `json:"held_out"` // they were not trained on
}
