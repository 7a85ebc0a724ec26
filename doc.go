// Package vicreg pretrains encoders of images, or of two kinds of data that belong together,
// without labels, by variance-invariance-covariance regularisation (VICReg, Bardes, Ponce and
// LeCun, ICLR 2022) and the methods it is measured against, in pure Go.
//
// [Pretrain] does the whole job that a [Config] describes, from a folder of images to an
// encoder and its scores. Take the Config from a built-in recipe ([Recipe], [RecipeFor]) and
// change what differs; [Config.SetPairs] makes it one for pairs. [Resume] goes on with a run
// that was stopped, [Extend] to another number of epochs.
//
// [Open] loads the encoder of a run. [Model.Embed] turns images into features with it,
// [Model.EmbedData] whole data sets, [Model.EmbedPairs] a side of pairs, and
// [Model.Evaluate] scores it on labelled images. [Model.Export] writes it for other
// programs, and [Import] takes theirs.
// [Model.IndexData] keeps the features of many images to be searched for the nearest, and
// [Model.Serve] answers HTTP requests with both.
// A Model may be used by any number of goroutines at once. [Loss] is the loss alone, for embeddings of any origin.
//
// In a build with -tags native, [WithDevice] and [Model.On] have the networks computed on an
// NVIDIA card.
//
// Results depend on the configuration and its seed, not on the number of processors: the
// same run gives the same bits. Errors are sentences that name the file or the field, what
// was wrong and what to do; some name the flags of the command, which have the names of the
// fields. Functions that take a context return its error when it ends, or, of a run, one
// that matches [ErrInterrupted].
//
// The module has no host: in the go.mod of another,
//
//	require vicreg v0.0.0
//	replace vicreg => /path/to/vicreg
package vicreg
