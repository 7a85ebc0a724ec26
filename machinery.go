package vicreg

import "vicreg/internal/model"

// Encoder is the network that turns an image, or a side of pairs, into a representation.
type Encoder struct {
	// Arch is one of Encoders: resnet10, resnet18, resnet34, resnet50, resnet101,
	// resnet152, resnet50x2, resnet200x2, vit-tiny, vit-small or vit-base for images and
	// spectrograms, vit for them where Dim, Blocks and Heads are given, resnet1d-10,
	// resnet1d-18 or resnet1d-34 for waveforms and series, mlp for numbers and embeddings,
	// text for texts. Default: resnet18
	Arch string

	// Width is the channels of a residual network's first stage, 64 in the published ones,
	// or the width of an mlp's layers, 0 for the usual. A representation of resnet10 to
	// resnet34 has 8 times as many values, of resnet50 and resnet101 32 times. Default: 16
	Width int

	// Stem is the first layers of a residual network: small (3×3, for images up to some 64
	// pixels), padded (the same with a border of two pixels), linear (without ReLU), imagenet (7×7 at every second
	// pixel, and max-pooling) or large (for waveforms); empty: chosen (see Config.Minutes).
	// Default: small
	Stem string

	// Patch is the width and height of a vision transformer's patches, in pixels; they must
	// divide the size of the images. 0: chosen by that size. Default: 0
	Patch int

	// Dim is the width of a vision transformer's tokens, Blocks how many blocks it has and
	// Heads how many heads each has; 0: as Arch says. Default: 0
	Dim, Blocks, Heads int

	// Pool is what a vision transformer's representation is: class, its class token (also if
	// empty), or mean, the mean of its patches, and then it has no class token. Default: none
	Pool string

	// Positions of a vision transformer are learned (also if empty) or sincos: fixed, as MoCo
	// v3's. Default: none
	Positions string

	// ZeroInitResidual starts every residual block as the identity. Default: false
	ZeroInitResidual bool
}

// Encoders returns the names that Encoder.Arch may have.
func Encoders() []string { return model.Archs() }

// Optimizer changes the weights by their gradients. The learning rate rises to
// BaseLR·Batch/256 during warm-up, and falls along a cosine to EndLRFactor of that.
// Biases and the parameters of normalisations have no weight decay and, with lars, the
// plain learning rate.
type Optimizer struct {
	// Name is lars, sgd or adamw. Default: lars
	Name string

	// BaseLR is the learning rate for a batch of 256, above 0. Default: 0.3
	BaseLR float64

	// BaseLRAuto has BaseLR chosen by Batch before the run begins, as Preview tells: the
	// paper's rate for VICReg with lars; BaseLR itself where the paper has none. Default:
	// false
	BaseLRAuto bool

	// EndLRFactor is the learning rate of the last step, as a share of the greatest.
	// Default: 0.001
	EndLRFactor float64

	// Momentum, of lars and sgd, is from 0 to below 1. Default: 0.9
	Momentum float64

	// WeightDecay is the share of a weight that is added to its gradient; adamw takes it
	// off the weight itself. Default: 0.0001
	WeightDecay float64

	// Eta is the trust coefficient of lars, above 0. Default: 0.02
	Eta float64

	// Clip has lars never take more than the plain learning rate, as solo-learn does.
	// Default: false
	Clip bool

	// Nesterov looks ahead, with sgd. Default: false
	Nesterov bool

	// Betas are the decay rates of the two moments of adamw, from 0 to below 1.
	// Default: 0.9 and 0.999
	Betas [2]float64

	// Eps is added to the root in adamw, and to the divisor of lars with Clip, above 0.
	// Default: 1e-08
	Eps float64

	// DecayAll has sgd and adamw decay biases and the parameters of normalisations as well.
	// Default: false
	DecayAll bool
}

// Init says whose weights a run starts from.
type Init struct {
	// Path is a run's folder or a model's file.
	Path string

	// Sum is the checksum of the model's file, a CRC-32C in hexadecimal digits: another
	// file is refused. Empty: found when the run begins.
	Sum string

	// SumB is that of the second branch's.
	SumB string
}

// Replan is a change of the number of epochs in a run that had begun.
type Replan struct {
	Epochs  int     // that were planned till then
	Step    int     // steps that had been done
	Passage float64 // epochs in which the learning rate comes to the peak, or to that of the new plan
}

// LossConfig holds the coefficients of VICReg in a run. [Loss] says what they mean; its
// constants are the same ones.
type LossConfig struct {
	// Convention is released, formula or pseudocode; see Convention. Default: released
	Convention string

	// Lambda is the weight of the invariance term. Default: 25
	Lambda float64

	// Mu is the weight of the variance term. Default: 25
	Mu float64

	// Nu is the weight of the covariance term. Default: 1
	Nu float64

	// Gamma is the standard deviation that every dimension should have, above 0. Default: 1
	Gamma float64

	// Eps is added under the root of the variance, above 0. Default: 0.0001
	Eps float64

	// MuB is Mu of the second branch, if it is another. Default: none
	MuB *float64

	// NuB is Nu of the second branch, if it is another. Default: none
	NuB *float64
}

// Heads says how expander and predictor are built and how gradients flow. Every layer but
// the last is linear, normalised and rectified.
type Heads struct {
	// Norm puts batch normalisation into the expander; without it, the last layer has a bias
	// where it had a normalisation. Default: true
	Norm bool

	// Last is the last layer of the expander: plain (linear), bias (with a bias), norm (with
	// a normalisation without weights) or affine (with a normalisation). Default: plain
	Last string

	// Predictor is the widths of the predictor's hidden layers, as 512 or 512-512, or none.
	// It ends in the width of an embedding. Methods vicreg, byol, simsiam and moco-v3 have
	// one or may. Default: none
	Predictor string

	// PredictorNorm puts batch normalisation into its hidden layers. Default: true
	PredictorNorm bool

	// PredictorLast is its last layer, as Last. Default: bias
	PredictorLast string

	// StopGradient takes what is predicted as a constant. Default: false
	StopGradient bool
}

// Momentum is the encoder that makes the targets: after every step
//
//	target = τ·target + (1 − τ)·encoder
//
// where τ goes from Base to Final along a cosine.
type Momentum struct {
	// Use has it; else the encoder itself makes the targets. Default: false
	Use bool

	// Base is the first τ, from 0 to Final. Default: 0
	Base float64

	// Final is the last τ, at most 1. Default: 0
	Final float64
}

// Queue holds embeddings of earlier steps.
type Queue struct {
	// Size is how many, of each view; 0: no queue. Default: 0
	Size int

	// Start is the epochs before they count, in swav. Default: 0
	Start int
}

// Prototypes are what clusters are named by.
type Prototypes struct {
	// Counts is the number of prototypes of each clustering; swav has one. Default: none
	Counts []int

	// Freeze is the epochs in which they do not learn, in swav. Default: 0
	Freeze int

	// Epsilon is the temperature of Sinkhorn's iterations, in swav. Default: 0
	Epsilon float64

	// Iterations is the number of Sinkhorn's iterations, in swav. Default: 0
	Iterations int

	// KMeans is the iterations of k-means at the start of an epoch, in deepcluster.
	// Default: 0
	KMeans int
}

// Redundancy holds the constants of Barlow Twins.
type Redundancy struct {
	// Lambda is the weight of the correlations off the diagonal. Default: 0
	Lambda float64

	// Scale is a factor of the whole loss. Default: 0
	Scale float64
}

// Whitening holds the constants of W-MSE.
type Whitening struct {
	// Size is the rows that are whitened together; 0: the whole batch. Default: 0
	Size int

	// Iterations is how many ways to cut the batch are averaged. Default: 0
	Iterations int

	// Eps is the share of the identity in the covariance. Default: 0
	Eps float64
}

// Regularize is VICReg's regularisation on the embeddings of another method, with the
// Gamma, Eps and Convention of LossConfig.
type Regularize struct {
	// Variance is the weight of the variance term; 0: none. Default: 0
	Variance float64

	// Covariance is the weight of the covariance term; 0: none. Default: 0
	Covariance float64
}

// Eval says when and how the encoder is scored, given labels.
type Eval struct {
	// Every is the epochs between two scores by nearest neighbours; 0: only at the end; -1:
	// chosen (see Config.Minutes). Default: 1
	Every int

	// Limit is the most images of each part that those scores are taken on, spread evenly;
	// 0, and at the end: all. Default: 4000
	Limit int

	// K is the neighbours that vote, at least 1. Default: 20
	K int

	// Temperature is that of their votes, above 0. Default: 0.07
	Temperature float64
}
