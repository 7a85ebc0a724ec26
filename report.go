package vicreg

import (
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

// Reporter is told how a run goes, by one goroutine at a time, while the run waits. Embed
// [Silent] to implement some of its methods alone.
type Reporter interface {
	Start(Plan)        // before the first step
	Step(Step)         // after every step
	Epoch(Epoch)       // after every epoch
	Warning(Warning)   // whenever something should be known
	Phase(what string) // when something other than steps begins or goes on, such as "linear probe"
	Done(Summary)      // at the end
}

// Silent is a Reporter that does nothing. Embedded in a struct it stands in for the methods
// that the struct does not have.
type Silent struct{}

func (Silent) Start(Plan)      {}
func (Silent) Step(Step)       {}
func (Silent) Epoch(Epoch)     {}
func (Silent) Warning(Warning) {}
func (Silent) Phase(string)    {}
func (Silent) Done(Summary)    {}

// Plan is what is known of a run before its first step.
type Plan struct {
	Folder  string   // the run's
	About   string   // a few lines on data and network, for people
	Advice  []string // what is unwise in the configuration, a sentence each
	Replans []Turn   // changes of plan that the run did not know of
	Epochs  int      // of the whole run
	Steps   int      // of the whole run
	Done    int      // steps of it that a checkpoint already holds
	Batch   int      // images, or pairs, in a step
	Dataset string   // name of the data
	Images  int      // images, or pairs, that it trains on
	Kind    string   // of them: images or pairs
	Apart   bool     // each branch has weights of its own
	After   float64  // seconds that scores take after the last step; 0: none, or not known
}

// Turn is a change of the number of epochs in a run that had begun, as Extend makes one.
type Turn struct {
	Epoch   int     // epochs done
	Step    int     // steps done
	From    int     // epochs that were planned till then
	To      int     // epochs planned from there on
	LR      float64 // learning rate of the last step that was done
	NextLR  float64 // to which it goes in a straight line
	Passage float64 // in so many epochs

	Withdrawn []string // warnings before it that no longer hold
}

// Term is one term of a loss, before its coefficient.
type Term struct {
	Name  string  // as in metrics.jsonl: invariance, variance, covariance and others
	Value float64 // before its coefficient
}

// Step is one step of the optimizer.
type Step struct {
	Epoch     int     // from 1
	Step      int     // since the start of the run, from 1
	Loss      float64 // of the step's batch
	Terms     []Term  // of the loss
	LR        float64 // learning rate
	GradNorm  float64 // length of the gradient of all parameters
	Images    float64 // images (not views) a second
	WaitShare float64 // share of the time spent waiting for data, from 0 to 1
}

// Epoch sums up an epoch.
type Epoch struct {
	Epoch        int      // from 1
	Step         int      // steps done since the start of the run
	Loss         float64  // mean over the epoch's steps
	Terms        []Term   // likewise
	LR           float64  // learning rate of its last step
	Images       float64  // images (not views) a second
	WaitShare    float64  // share of the time spent waiting for data, from 0 to 1
	EmbeddingStd float64  // standard deviation of the embeddings, mean over dimensions
	Correlation  float64  // absolute correlation of two dimensions, mean over all pairs
	Rank         float64  // effective number of dimensions of the embeddings
	Collapsed    bool     // whether EmbeddingStd or Rank is close to 0, or Correlation to 1
	KNN          *float64 // share of the scoring set that its neighbours name right; nil: not scored
	Views        *Sight   // how the encoder sees views; nil: not looked at

	Spectrum *Spectrum // of the embeddings; nil: not known

	Classified *Classified // what the classifier gets right, of an encoder that is taught classes

	Seconds float64 // since the start of the run, pauses left out
	Device  string  // that it was computed on; empty: the processor
}

// Warning is something that a user should know.
type Warning struct {
	Epoch   int    // in which it came up, from 1; 0: before
	Step    int    // after which, since the start of the run
	Message string // a sentence
	Failed  bool   // whether the run ended with it
	Note    bool   // whether it says what was found or done, and nothing is wrong
}

// Summary is what came of a run; summary.json in its folder holds the same.
type Summary struct {
	Method  string  // that trained
	Dataset string  // name of the data
	Images  int     // images, or pairs, that it trained on
	Epochs  int     // done
	Steps   int     // done
	Loss    float64 // mean over the last epoch
	Terms   []Term  // likewise

	EmbeddingStd float64 // standard deviation of the embeddings, mean over dimensions
	Correlation  float64 // absolute correlation of two dimensions, mean over all pairs
	Rank         float64 // effective number of dimensions of the embeddings
	Collapsed    bool    // whether EmbeddingStd or Rank is close to 0, or Correlation to 1

	BranchScores               // of the encoder, or of the first branch's
	BranchB      *BranchScores // of the second branch, if it has an encoder of its own
	Retrieval    *Retrieval    // of pairs, else nil
	Verdict      *Verdict      // without labels; nil: none was made
	Unlabelled   *Unlabelled   // what the features of images tell; nil of pairs
	Classifier   *Classifier   // of an encoder that was taught classes, else nil

	Seconds         float64 // that the run took, pauses left out
	TrainSeconds    float64 // of its training steps and their data
	ImagesPerSecond float64 // images (not views), while it trained
	WaitShare       float64 // share of the training time spent waiting for data, from 0 to 1
	PeakRSSMiB      float64 // most memory of the process, in MiB
	Parameters      int     // of the encoder

	BadImages int      // images, or rows, that could not be used
	Bad       []string // each with what is wrong with it
	Notes     []string // what of the data was left out, filled in or guessed, a sentence each

	Variants []string  // of the kernels: avx512, avx2 or plain, or a device; several if the run moved
	Device   string    // that its end was computed on; empty: the processor
	Version  string    // of vicreg
	Started  time.Time // when the run began
	Finished time.Time // when it ended

	Files   map[string]string // those that the run ended with, each with its checksum
	Changed []string          // those that are others now
}

// Spectrum holds eigenvalues of the covariance of embeddings, the largest first. Few that
// are large and many near 0 mean that the embeddings lie in few directions.
type Spectrum struct {
	Ranks  []int     // of the eigenvalues that are kept, from 1, spread evenly on a logarithmic scale
	Values []float64 // those eigenvalues
}

// Sight is how an encoder sees views of images, or the sides of pairs, which needs no
// labels.
type Sight struct {
	R1   float64 // share of the views that find the other one of their image first among all, by cosine
	Rank float64 // effective number of dimensions of their features
	Std  float64 // from 0, where all features are alike, to 1, where they lie in all directions
}

// Seen is a Sight on the way of a run.
type Seen struct {
	Epoch int // from 1
	Step  int // since the start of the run
	Sight     // at that step
}

// What a Verdict may be.
const (
	Learned   = "learned"        // the encoder is better than untrained
	Longer    = "needs longer"   // it is not yet, or not clearly, and was still getting better
	Little    = "learned little" // it is not, and hardly got better
	Collapsed = "collapsed"      // its features have come to be alike
)

// Verdict judges what came of a run, without labels. Where there are scores, it agrees with
// them.
type Verdict struct {
	Is   string // Learned, Longer, Little or Collapsed
	Text string // it in a sentence, with the figures that tell
	Next string // what to try next, a sentence

	Spread string // whether anything collapsed, a sentence; empty in what older versions wrote

	Trained   Sight   // of the encoder
	Untrained *Sight  // of the same one before any training; nil of pairs
	Chance    float64 // the R1 that chance would give
	Items     int     // images, or pairs, among which views look for each other
	HeldOut   bool    // whether these were not trained on
	Trend     []Seen  // on the way, the last at the end
	Rising    bool    // whether R1 still rose at the end
}

// Unlabelled are measures without labels of an encoder and of the same one untrained.
type Unlabelled struct {
	Trained   Layers // of the trained encoder and its expander
	Untrained Layers // of both before any training
	Images    int    // of which views were drawn
	Views     int    // of each
	HeldOut   bool   // whether these images were not trained on
}

// Layers are the measures of an encoder's output and of its expander's.
type Layers struct {
	Representation Measures  // what the encoder gives
	Embedding      *Measures // what the expander makes of it; nil: there is none
}

// Measures are what features tell without labels, of two or more views of each of some
// images. docs/evaluation.md has their sources.
type Measures struct {
	Width       int      // values of a feature
	Std         float64  // standard deviation, mean over the values; 0 of features that have collapsed
	Correlation float64  // absolute correlation of two values, mean over all pairs; good near 0
	RankMe      float64  // effective rank, not centred; higher is better, up to Width
	LiDAR       float64  // effective rank of what tells images apart; higher is better, up to Width
	AlphaReQ    *float64 // exponent of the eigenvalues' decay; good near 1; nil: too few to tell
	Alignment   float64  // of views of an image; lower is better, 0 to 2 and more
	Uniformity  float64  // of images on the sphere; lower is better, from 0 to about -4
}

// BranchScores are shares of the scoring set that are right, from 0 to 1, by the encoder and
// by the same one untrained; nil without labels.
type BranchScores struct {
	KNN              *float64 // by nearest neighbours
	Linear           *float64 // by a linear probe
	RandomInitKNN    *float64 // of the untrained encoder
	RandomInitLinear *float64 // of the untrained encoder
	Scored           int      // images, or rows, that these are shares of; 0: not known
}

// Retrieval is how well the pairs held out find each other, both ways.
type Retrieval struct {
	AToB Recall // items of the first side among those of the second
	BToA Recall // and the other way
}

// Recall says how often an item has its partner among the nearest of the other side, as
// shares from 0 to 1.
type Recall struct {
	R1, R5, R10                float64 // among the nearest 1, 5 and 10
	Chance1, Chance5, Chance10 float64 // what chance would give
	Median                     float64 // rank of the partner, from 1
	Queries                    int     // items that were looked for
	Gallery                    int     // items to choose from
}

// Classified is how many images a trained classifier gets right, as shares from 0 to 1.
type Classified struct {
	Top1   float64  // whose class is ranked first
	Top5   *float64 // whose class is among the first five; nil with 5 classes or fewer
	Scored int      // images that these are shares of
}

// Classifier is what came of teaching an encoder classes.
type Classifier struct {
	Classified            // at the end, on all images there are to score on
	Best       Classified // of the scores at the ends of epochs, which may be of some of the images
	BestEpoch  int        // from 1; 0: there were none

	Classes   []ClassScore // in order
	Confusion [][3]int     // a class, by its place in Classes, one that images of it were taken for, and how many
}

// ClassScore is what a classifier gets right of a class.
type ClassScore struct {
	Name   string // of the class
	Items  int    // images that were scored
	Right  int    // whose class is ranked first
	Right5 int    // whose class is among the first five
}

// Forecast is what a run would do.
type Forecast struct {
	Config        Config   // with everything chosen that was open
	Choices       []Choice // that were made for it
	Warnings      []string // what is unwise in it, a sentence each
	Notes         []string // what of the data was left out or guessed, a sentence each
	Dataset       string   // name of the data
	Images        int      // images, or pairs, to train on
	Scored        int      // images, or pairs, to score on
	Kind          string   // images or pairs
	StepsPerEpoch int      // what is left of the images in the end makes no step
	Steps         int      // of the whole run
	Seconds       float64  // until its summary; 0: not known
	Bytes         float64  // of memory
	Device        string   // that computes; empty: the processor
	DeviceBytes   float64  // of its memory; 0: not known
}

// Choice is one value that was chosen for an open place of a configuration.
type Choice struct {
	Key    string // as in config.yaml, such as encoder.stem
	Value  any    // a number or a name
	Reason string // for people
}

// teller passes what a run reports on to a Reporter.
type teller struct{ to Reporter }

func (t teller) Start(p train.Plan)       { t.to.Start(outer[Plan](p)) }
func (t teller) Step(s runlog.Step)       { t.to.Step(outer[Step](s)) }
func (t teller) Epoch(e runlog.Epoch)     { t.to.Epoch(outer[Epoch](e)) }
func (t teller) Warning(w runlog.Warning) { t.to.Warning(outer[Warning](w)) }
func (t teller) Phase(what string)        { t.to.Phase(what) }
func (t teller) Done(s runlog.Summary)    { t.to.Done(outer[Summary](s)) }
