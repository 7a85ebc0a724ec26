package vicreg

import (
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
)

// Pairs says that a run learns from the rows of a manifest, Data.Source, whose two sides
// are of their own kinds.
type Pairs struct {
	A Side // what the first branch reads
	B Side // what the second branch reads

	// Label is the column of classes, for scoring; empty: there are none.
	Label string

	// Split is the column that says train, test or val; empty: Data.Holdout is kept.
	Split string
}

// Side is one side of pairs. Type and Columns (or File) are yours to say, as [ParseSide]
// reads them. The rest may be: what is zero is measured on the training rows and written to
// the run's config.yaml, so that the run can be repeated.
type Side struct {
	// Type is image, waveform, spectrogram, series, numeric, text or embedding.
	Type string

	// Columns of the manifest: one, of numeric one or more. Those of images, waveforms,
	// spectrograms, series and embeddings hold paths relative to the manifest.
	Columns []string

	// File, of an embedding, is an .npy matrix with a row for each row of the manifest,
	// instead of a column.
	File string

	// Size is the width and height of an image's view, in pixels; 0: Config.Size.
	Size int

	// Channels are those of an image (1 grey, 3 colour, up to 16 of images that are no
	// pictures) or of a series; 0: as the files.
	Channels int

	// Values is raw of images that have the values of their files, as Data.Values; empty:
	// as the files.
	Values string

	// Names are those of a series' channels, in their order, if its files have headers: a
	// file with the same names in another order is put into this one.
	Names []string

	// Rate is the samples a second of a waveform, or of one that a spectrogram is made of;
	// others are resampled. 0: as most files.
	Rate int

	// Length is a waveform's samples, a spectrogram's frames, a series' points or a text's
	// bytes: longer ones are cut, shorter ones padded. 0: as most files.
	Length int

	// Mel says how a spectrogram is made; nil: 64 bands of windows of 25 ms, 10 ms apart.
	Mel *Mel

	// Width is the numbers of an embedding; 0: as the data.
	Width int

	// Incomplete are the columns of a numeric side that miss values in the training rows. A
	// missing value is filled with the column's mean, and of each of these columns an
	// indicator follows the values: 1 where the value is missing, else 0.
	Incomplete []string

	// Mean is subtracted: of an image (pixels from 0 to 1) and of a series by channel, of
	// numeric by column, of an embedding by number, of sound one for all.
	Mean []float64

	// Std is divided by, as many as of Mean, above 0.
	Std []float64

	// How views for training are drawn, nil for usual strengths. Each belongs to its type.
	// Views of images are Config.Views.

	Waveform    *WaveformView    // of a waveform
	Spectrogram *SpectrogramView // of a spectrogram
	Series      *SeriesView      // of a series
	Numeric     *NumericView     // of numbers and of embeddings
	Text        *TextView        // of a text
}

// Mel says how a log-mel spectrogram is made of a waveform.
type Mel struct {
	Window float64 // length of a window, in seconds; usually 0.025
	Hop    float64 // from frame to frame, in seconds; usually 0.01
	Bands  int     // of the mel scale; usually 64
	Low    float64 // where the lowest band begins, in Hz; usually 0
	High   float64 // where the highest band ends, in Hz; 0: half the rate
	FFT    int     // samples of a transform; 0: a power of two that holds a window and tells the bands apart
	Floor  float64 // of power, before the logarithm; usually 1e-10
}

// WaveformView is how a view of a waveform is drawn.
type WaveformView struct {
	Shift    float64 // greatest share of the length by which time goes round in a circle, either way; usually 0.1
	Gain     float64 // greatest change of loudness, up or down, in dB; usually 6
	Polarity float64 // probability of the opposite sign; usually 0.5
	Noise    Noise   // that is added
}

// Noise is white noise that is added to a waveform; silence gets none.
type Noise struct {
	P   float64    // its probability; usually 0.5
	SNR [2]float64 // least and greatest ratio of signal to noise, in dB; usually 10 and 40
}

// SpectrogramView is how a view of a spectrogram is drawn.
type SpectrogramView struct {
	Gain  float64 // greatest change of loudness, up or down, in dB; usually 6
	Bands Masks   // of whole bands
	Time  Masks   // of whole frames
}

// Masks hide runs of neighbours behind the mean, each of a length that is drawn.
type Masks struct {
	Count int     // how many; usually 2
	Share float64 // greatest length of one, as a share of all; usually 0.2
}

// SeriesView is how a view of a series is drawn.
type SeriesView struct {
	Scale  float64 // standard deviation of each channel's factor around 1; usually 0.1
	Jitter float64 // standard deviation of noise, in those of the channel; usually 0.05
	Crop   float64 // least share of the points that is kept, in one piece; usually 0.8
}

// NumericView is how a view of a row of numbers, or of an embedding, is drawn.
type NumericView struct {
	Jitter float64 // standard deviation of noise, in those of the column; usually 0.1
	Drop   float64 // probability of each number to become its column's mean; usually 0.2
}

// TextView is how a view of a text is drawn.
type TextView struct {
	Mask   float64 // probability of each byte to be hidden; usually 0.15
	Delete float64 // probability of each byte to be left out; usually 0.03
}

// ParseSide reads a side as the command does: type=column, as image=photo, or with several
// columns, as numeric=temp,load. An embedding may name an .npy file instead of a column.
func ParseSide(spec string) (Side, error) {
	s, err := pairs.ParseSide(spec)
	return outer[Side](s), err
}

// SetPairs makes c a run on the pairs of a manifest. As the command does, it gives each
// side a branch of its own, unless both are images or the method's branches are always
// shared, and each side that Config.Encoder cannot read the usual encoder of its type:
// resnet18, resnet1d-18, mlp or text. Set Branches, Encoder and EncoderB afterwards to
// choose others. An error tells what is wrong with a side.
func (c *Config) SetPairs(manifest string, a, b Side) error {
	inner := c.inner()
	p := recipe.Pairs{A: inward[pairs.Side](a), B: inward[pairs.Side](b)}
	for _, s := range []*pairs.Side{&p.A, &p.B} {
		if err := s.Check(); err != nil {
			return err
		}
	}
	if c.Pairs != nil {
		p.Label, p.Split = c.Pairs.Label, c.Pairs.Split
	}
	inner.Data.Source, inner.Pairs = manifest, &p
	inner.Divide(false)
	inner.Suit([2]bool{}, false)
	*c = outer[Config](inner)
	return nil
}
