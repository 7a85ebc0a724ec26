package eval

// Needed is how many bytes scoring takes at most beside what the program holds already: with
// all features in memory, and with those of the training images in a store.
type Needed struct{ Held, Stored float64 }

// Need reckons what it takes to score test images by training images of some classes, both
// with d features, by o.
func Need(train, test, d, classes int, o Options) Needed {
	o = o.filled()
	const single, double = 4, 8
	n, m, wide := float64(train), float64(test), float64(d)
	most := o.K
	for _, k := range o.Others {
		most = max(most, k)
	}
	far := 2 * single * m * wide                               // and scaled
	votes := m * float64(min(most, train)) * (single + single) // cosines and places
	chunk := min(n, 2048)
	blocks := chunk * single * (8*wide + 2*float64(classes))        // read ahead, scaled, weighted; logits
	side := min(wide, float64(mostFeatures)) + 1                    // of the largest matrix
	weights := min(side*float64(classes), float64(mostWeights))     // fitted step by step
	fit := max(26*double*weights, single*2*side*float64(classes)) + // what L-BFGS remembers; or means and weights
		5*double*side*side
	rest := far + votes + blocks + fit
	return Needed{Held: rest + 2*single*n*wide, Stored: rest}
}
