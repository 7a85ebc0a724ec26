// Package vicreg pretrains image encoders without labels, by
// variance-invariance-covariance regularisation (VICReg, Bardes, Ponce and
// LeCun, ICLR 2022), in pure Go.
//
// [Pretrain] does the whole job that a [Config] describes, from a folder of
// images to an encoder and its scores. Take the Config from a built-in recipe
// ([Recipe]) and change what differs. [Resume] goes on with a run that was
// stopped. [Open] loads the encoder of a run; [Model.Embed] turns images into
// features with it, [Model.EmbedData] whole data sets, and [Model.Evaluate]
// scores it on labelled images. [Loss] is the loss alone, for embeddings of any
// origin.
//
// Results depend on the configuration and its seed, not on the number of
// processors: the same run gives the same bits.
package vicreg
