// Package rng gives every use of chance its own stream of random numbers, named
// by keys. A stream depends on its keys alone, so neither the number of workers
// nor the order of work changes what is drawn.
//
// The first two keys are the run's seed and a purpose; what follows is the
// purpose's own, as noted at each:
//
//	r := rng.New(seed, rng.Augment, epoch, item, view)
package rng

import "math/rand/v2"

// Purposes keep the streams of one seed apart. Their values are part of what a
// seed means: append, never renumber.
const (
	Init    uint64 = 1  // weights: (seed, Init, network)
	Shuffle uint64 = 2  // order of the training images: (seed, Shuffle, epoch)
	Augment uint64 = 3  // views: (seed, Augment, epoch, item, view)
	Sample  uint64 = 4  // choice of a part of a data set: (seed, Sample)
	Method  uint64 = 5  // a method's own chance: (seed, Method, step)
	Eval    uint64 = 6  // evaluation: (seed, Eval)
	Bench   uint64 = 7  // made-up data for timing: (seed, Bench)
	Judge   uint64 = 8  // views that an encoder is judged by: (seed, Judge, round, item, view)
	Share   uint64 = 9  // choice of a share of the labelled images: (seed, Share, class)
	Map     uint64 = 10 // maps of embeddings: (seed, Map, what for)
)

// New returns the stream of the keys.
func New(keys ...uint64) *rand.Rand {
	p := new(rand.PCG)
	Seed(p, keys...)
	return rand.New(p)
}

// Seed sets p to the start of the stream of the keys. A worker that keeps one
// PCG and one rand.Rand on it draws from many streams without allocating.
func Seed(p *rand.PCG, keys ...uint64) {
	a, b := mix(uint64(len(keys))), uint64(phi)
	for _, k := range keys {
		a = mix(a + phi + mix(k))
		b = mix(b ^ a)
	}
	p.Seed(a, b)
}

// phi is 2⁶⁴ over the golden ratio, the increment of splitmix64.
const phi = 0x9e3779b97f4a7c15

// mix is a bijection that changes half of the output bits when one input bit
// changes: the finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014, with Stafford's variant 13).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Perm returns a permutation of [0, n) drawn from the stream of the keys.
func Perm(n int, keys ...uint64) []int { return New(keys...).Perm(n) }
