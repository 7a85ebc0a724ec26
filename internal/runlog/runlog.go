// Package runlog writes and reads the folder of a run:
//
//	config.yaml        everything the run is, enough to repeat it
//	metrics.jsonl      one JSON object a line: a [Step], an [Epoch], a [Warning] or a [Replan]
//	summary.json       a [Summary], written when the run ends
//	model.safetensors  the encoder and its expander, written when the run ends
//	model-b.safetensors those of the second branch, if it has its own
//	checkpoint         see package checkpoint
//
// Whoever shows runs needs nothing but this package.
package runlog

import "time"

// Files of a run's folder.
const (
	ConfigFile     = "config.yaml"
	MetricsFile    = "metrics.jsonl"
	SummaryFile    = "summary.json"
	ModelFile      = "model.safetensors"
	CheckpointFile = "checkpoint"
	PreviousFile   = "checkpoint.previous" // the one before
)

// ModelFiles are the files of the first and of the second branch. There is no second one
// if the views share their weights.
var ModelFiles = [2]string{ModelFile, "model-b.safetensors"}

// Files are all that a run writes into its folder.
var Files = []string{ConfigFile, MetricsFile, SummaryFile, ModelFiles[0], ModelFiles[1], CheckpointFile, PreviousFile}

// Term is one term of a loss, before its coefficient.
type Term struct {
	Name  string
	Value float64
}

// Terms lists a loss's terms in their order. In JSON each is a key of the
// object that holds it.
type Terms []Term

// Get returns the value of a term, 0 if there is none.
func (t Terms) Get(name string) float64 {
	for _, x := range t {
		if x.Name == name {
			return x.Value
		}
	}
	return 0
}

// Step is one optimizer step.
type Step struct {
	Event     string  `json:"event"` // step
	Epoch     int     `json:"epoch"` // from 1
	Step      int     `json:"step"`  // since the start of the run, from 1
	Loss      float64 `json:"loss"`
	Terms     Terms   `json:"-"`
	LR        float64 `json:"lr"`
	GradNorm  float64 `json:"grad_norm"`
	Images    float64 `json:"images_per_second"` // images, not views
	WaitShare float64 `json:"wait_share"`        // share of the time spent waiting for data
}

// Epoch sums up one epoch. Loss and terms are means over its steps.
type Epoch struct {
	Event        string   `json:"event"` // epoch
	Epoch        int      `json:"epoch"` // from 1
	Step         int      `json:"step"`  // steps done since the start of the run
	Loss         float64  `json:"loss"`
	Terms        Terms    `json:"-"`
	LR           float64  `json:"lr"`
	Images       float64  `json:"images_per_second"`
	WaitShare    float64  `json:"wait_share"`
	EmbeddingStd float64  `json:"embedding_std"` // mean over dimensions
	Correlation  float64  `json:"correlation"`   // mean absolute, off the diagonal
	Rank         float64  `json:"rank"`          // effective rank
	Collapsed    bool     `json:"collapsed"`
	KNN          *float64 `json:"knn,omitempty"`   // share of the scoring set that is right
	Views        *Sight   `json:"views,omitempty"` // how the encoder sees views, at some epochs

	Spectrum *Spectrum `json:"spectrum,omitempty"` // of the embeddings; nil in what older versions wrote

	Classified *Classified `json:"classified,omitempty"` // what the classifier gets right, of an encoder that is taught classes

	Seconds float64 `json:"seconds"`          // since the start of the run, pauses left out
	Device  string  `json:"device,omitempty"` // that it was computed on; empty: the processor
}

// Warning is anything a reader of the log should know.
type Warning struct {
	Event   string `json:"event"` // warning
	Epoch   int    `json:"epoch"`
	Step    int    `json:"step"`
	Message string `json:"message"`
	Failed  bool   `json:"failed,omitempty"` // the run ended with it
	Note    bool   `json:"note,omitempty"`   // it says what was found or done, and nothing is wrong
}

// Replan is a change of the number of epochs in a run that had begun.
type Replan struct {
	Event   string  `json:"event"`       // replan
	Epoch   int     `json:"epoch"`       // epochs done
	Step    int     `json:"step"`        // steps done
	From    int     `json:"from_epochs"` // that were planned till then,
	To      int     `json:"to_epochs"`   // and from there on
	LR      float64 `json:"lr"`          // of the last step that was done
	NextLR  float64 `json:"next_lr"`     // to which it goes in a straight line,
	Passage float64 `json:"passage"`     // in so many epochs

	Withdrawn []string `json:"withdrawn,omitempty"` // warnings before it that the new plan takes back
}

// Scores are the scores of an encoder and of the same one untrained: shares from 0 to 1,
// null without labels.
type Scores struct {
	KNN              *float64 `json:"knn"`
	Linear           *float64 `json:"linear"`
	RandomInitKNN    *float64 `json:"random_init_knn"`
	RandomInitLinear *float64 `json:"random_init_linear"`
	Scored           int      `json:"scored,omitempty"` // images that these are shares of; 0: not known
}

// Recall says how often the items of one side of the pairs held out have their
// partner among the 1, 5 or 10 nearest of the other side, as shares from 0 to 1,
// and what chance would give.
type Recall struct {
	R1       float64 `json:"r1"`
	R5       float64 `json:"r5"`
	R10      float64 `json:"r10"`
	Chance1  float64 `json:"chance_r1"`
	Chance5  float64 `json:"chance_r5"`
	Chance10 float64 `json:"chance_r10"`
	Median   float64 `json:"median_rank"` // of the partner, from 1
	Queries  int     `json:"queries"`
	Gallery  int     `json:"gallery"` // items to choose from
}

// Retrieval is recall both ways.
type Retrieval struct {
	AToB Recall `json:"a_to_b"`
	BToA Recall `json:"b_to_a"`
}

// Summary is the result of a run. Loss and terms are means over the last epoch.
type Summary struct {
	Method  string  `json:"method"`
	Dataset string  `json:"dataset"`
	Images  int     `json:"images"`
	Epochs  int     `json:"epochs"`
	Steps   int     `json:"steps"`
	Loss    float64 `json:"loss"`
	Terms   Terms   `json:"-"`

	EmbeddingStd float64 `json:"embedding_std"`
	Correlation  float64 `json:"correlation"`
	Rank         float64 `json:"rank"`
	Collapsed    bool    `json:"collapsed"`

	Scores          // of the encoder, or of the first branch's
	BranchB *Scores `json:"branch_b,omitempty"` // of the second branch, if it has an encoder of its own

	Retrieval *Retrieval `json:"retrieval,omitempty"` // of pairs

	Verdict *Verdict `json:"verdict,omitempty"` // without labels

	Unlabelled *Unlabelled `json:"unlabelled,omitempty"` // what the features of images tell; nil of pairs

	Classifier *Classifier `json:"classifier,omitempty"` // of an encoder that was taught classes

	Seconds         float64 `json:"seconds"`       // of the whole run, pauses left out
	TrainSeconds    float64 `json:"train_seconds"` // of its training steps and their data
	ImagesPerSecond float64 `json:"images_per_second"`
	WaitShare       float64 `json:"wait_share"`
	PeakRSSMiB      float64 `json:"peak_rss_mib"`
	Parameters      int     `json:"parameters"` // of the encoder

	BadImages int      `json:"bad_images"`
	Bad       []string `json:"bad_image_list,omitempty"` // each with what is wrong with it

	Notes []string `json:"notes,omitempty"` // what of the data was left out, filled in or guessed

	Variants []string `json:"variants,omitempty"` // of the kernels and devices: one, or those of every part of the run
	Device   string   `json:"device,omitempty"`   // that its end was computed on; empty: the processor

	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`

	Files   map[string]string `json:"files,omitempty"` // those that the run ended with, each with its [Sum]
	Changed []string          `json:"-"`               // those that are others now
}
