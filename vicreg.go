package vicreg

import (
	"context"
	"errors"
	"image"

	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

// Config is everything a run is.
type Config = recipe.Config

// Data says which images to take.
type Data = recipe.Data

// Recipes returns the names of the built-in recipes, the default first.
func Recipes() []string { return recipe.Names() }

// Recipe returns the configuration of a built-in recipe.
func Recipe(name string) (Config, error) { return recipe.Load(name) }

// What a run reports while it goes and when it has ended.
type (
	Reporter = train.Reporter
	Plan     = train.Plan
	Step     = runlog.Step
	Epoch    = runlog.Epoch
	Warning  = runlog.Warning
	Summary  = runlog.Summary
)

// ErrInterrupted is matched by the error of a run whose context was cancelled
// and that has saved itself.
var ErrInterrupted = train.ErrInterrupted

// Run is a run that has ended.
type Run struct {
	Folder  string
	Summary Summary
}

// Option changes how Pretrain and Resume work, not what they compute.
type Option func(*train.Options)

// WithReporter has r told how the run goes.
func WithReporter(r Reporter) Option { return func(o *train.Options) { o.Reporter = r } }

// WithMachine overrides how many goroutines compute and how many decode and
// augment; 0 leaves what the configuration says.
func WithMachine(threads, workers int) Option {
	return func(o *train.Options) { o.Threads, o.Workers = threads, workers }
}

// Pretrain trains an encoder as c says and scores it. An empty c.Out means a
// new folder under runs. When ctx is cancelled it finishes the step, saves
// everything and returns an error that matches ErrInterrupted.
func Pretrain(ctx context.Context, c Config, options ...Option) (*Run, error) {
	return nil, errors.New("pretraining is not wired up yet")
}

// Resume goes on with the run in folder from its last checkpoint. The run ends
// with the same bits as one that was never stopped.
func Resume(ctx context.Context, folder string, options ...Option) (*Run, error) {
	return nil, errors.New("pretraining is not wired up yet")
}

// Model is a trained encoder with its expander.
type Model struct{}

// Info describes a model.
type Info struct {
	Path       string // of its file
	Method     string
	Arch       string
	Width      int
	Stem       string
	Channels   int // 1 grey, 3 colour
	Size       int // pixels, width and height of an input
	Features   int // width of a representation
	Embedding  int // width of an embedding
	Expander   string
	Parameters int // of the encoder
	Mean, Std  []float64
	Dataset    string
	Epochs     int
}

// Open loads the model of a run's folder or a model.safetensors file.
func Open(path string) (*Model, error) {
	return nil, errors.New("models are not wired up yet")
}

// Info describes the model.
func (m *Model) Info() Info { return Info{} }

// Embed returns the representation of each image, resized and centre-cropped
// as the model expects.
func (m *Model) Embed(images ...image.Image) ([][]float32, error) {
	return nil, errors.New("models are not wired up yet")
}

// Embeddings are the features of a data set's images, without the bad ones.
type Embeddings struct {
	Features [][]float32 // image × feature
	Names    []string
	Labels   []int // -1: none
	Classes  []string
	Bad      []string // images that could not be read, each with its reason
}

// EmbedOptions say what EmbedData computes and how.
type EmbedOptions struct {
	Layer            string // representation (the default) or embedding
	Batch            int    // images at once; 0: 256
	Threads, Workers int
	Progress         func(done, total int)
}

// EmbedData embeds every image of a data set; of one with a train and a test
// part, both, in this order.
func (m *Model) EmbedData(ctx context.Context, d Data, o EmbedOptions) (*Embeddings, error) {
	return nil, errors.New("models are not wired up yet")
}

// Scores are shares of a scoring set that are right, from 0 to 1.
type Scores struct {
	Dataset          string
	Train, Test      int // images
	Classes          int
	KNN              float64
	Linear           float64
	RandomInitKNN    float64
	RandomInitLinear float64
	Bad              []string
}

// EvalOptions say how Evaluate scores.
type EvalOptions struct {
	K                int     // neighbours; 0: 20
	Temperature      float64 // 0: 0.07
	Threads, Workers int
	Progress         func(what string)
}

// Evaluate scores the frozen encoder on labelled images, and the same encoder
// untrained: k nearest neighbours and a linear probe, fitted on the train part
// of d and scored on its test part or on a share held out.
func (m *Model) Evaluate(ctx context.Context, d Data, o EvalOptions) (*Scores, error) {
	return nil, errors.New("models are not wired up yet")
}
