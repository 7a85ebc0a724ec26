package advice

import (
	"fmt"
	"strings"
	"time"

	"vicreg/internal/eval"
	"vicreg/internal/recipe"
)

// Speed is how long this machine takes, in seconds.
type Speed struct {
	Before float64 // all that comes before the choice of the epochs: listing the data, and timing
	Build  float64 // to make the network
	Step   float64 // of training; 0: not known
	Decode float64 // the part of it that goes into decoding items again
	Look   float64 // an item, at the look at all of them before the first epoch
	Embed  float64 // an item that is scored,
	EmbedB float64 // and by the second branch, if there is one
	Epoch  float64 // what an epoch takes beside its steps and scores
	Save   float64 // a checkpoint
}

// mostLooked is how many items are decoded at the look at all of them.
const mostLooked = 50_000

// Seconds returns how long a run takes from the command to its summary, and how long
// an epoch of it. 0: it is not known.
func Seconds(c recipe.Config, f Facts, s Speed) (whole, epoch float64) {
	if s.Step <= 0 {
		return 0, 0
	}
	epoch = float64(f.Images/c.Batch)*s.Step + s.Epoch + s.Save
	if every := c.Eval.Every; f.Scored > 0 {
		if every == recipe.Automatic {
			every = recipe.UsualEvery(max(1, c.Epochs))
		}
		if every > 0 && c.Epochs > 0 {
			few := func(n int) int {
				if l := c.Eval.Limit; l > 0 {
					n = min(n, l)
				}
				return n
			}
			times, items := float64(c.Epochs/every), few(f.Images)+few(f.Scored)
			if f.Taught {
				items = few(f.Scored)
			}
			epoch += times * float64(items) * s.Embed / float64(c.Epochs)
		}
	}
	whole = s.once(f) + float64(c.Epochs)*epoch
	if f.Judged > 0 { // at times on the way, and at the end beside the untrained encoder
		times := eval.Looks(c.Epochs, f.Images, f.Judged) + 1
		whole += float64(times) * float64(f.Judged) * s.pair()
	}
	return whole, epoch
}

// pair is how long it takes to embed two views or sides of an item, each by a branch of
// its own or both by the only one.
func (s Speed) pair() float64 {
	if s.EmbedB > 0 {
		return s.Embed + s.EmbedB
	}
	return 2 * s.Embed
}

// once is what a run does once, however many epochs it has.
func (s Speed) once(f Facts) float64 {
	// The first step takes memory, and a checkpoint stands before it.
	once := s.Before + s.Build + s.Save + s.Step
	return once + float64(min(f.Images+f.Scored, mostLooked))*s.Look + s.scores(f)
}

// scores is how long scores and retrieval take at the end.
func (s Speed) scores(f Facts) float64 {
	scores := float64(f.Retrieved) * s.pair()
	switch {
	case f.Taught:
		scores += float64(f.Scored) * s.Embed
	case f.Scored > 0:
		scores += 2 * float64(f.Images+f.Scored) * (s.Embed + s.EmbedB) // trained and untrained
	}
	return scores
}

// After returns how long a run takes after its last step.
func After(f Facts, s Speed) float64 { return s.scores(f) + float64(f.Judged)*s.pair() }

// Decoding says what helps where much of the time goes into decoding the same images
// again; empty elsewhere.
func Decoding(c recipe.Config, f Facts, s Speed) string {
	_, epoch := Seconds(c, f, s)
	share := float64(f.Images/c.Batch) * s.Decode / epoch
	if !(share > 0.25) {
		return ""
	}
	return fmt.Sprintf("decoding the images anew in each epoch takes about %.0f%% of the time; vicreg pack --size %d makes a file of them that needs none, for --data", 100*share, 2*c.Size)
}

// Epochs chooses how many there are: as many as let the whole run end in time.
func Epochs(c recipe.Config, f Facts, s Speed) Choice {
	if s.Step <= 0 {
		return Choice{"epochs", 100, "usual, as the time that one takes is not known"}
	}
	budget := Span(60 * c.Minutes)
	each := func(n int) (whole float64, epoch string) {
		c.Epochs = n
		whole, one := Seconds(c, f, s)
		return whole, fmt.Sprintf("one takes about %s", Span(one))
	}
	for n := mostEpochs + 1; n >= leastEpochs; n-- {
		switch whole, epoch := each(n); {
		case whole > 60*c.Minutes:
		case n > mostEpochs:
			_, epoch := each(mostEpochs)
			return Choice{"epochs", mostEpochs, fmt.Sprintf("the most that is chosen; %s", epoch)}
		default:
			return Choice{"epochs", n, fmt.Sprintf("%s, and the run may take %s", epoch, budget)}
		}
	}
	whole, epoch := each(leastEpochs)
	return Choice{"epochs", leastEpochs, fmt.Sprintf("the least that is chosen; %s, so this takes about %s", epoch, Span(whole))}
}

// Span writes seconds for people, to about two figures.
func Span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case seconds >= 1e9:
		return "more than 30 years"
	case seconds < 10:
		return fmt.Sprintf("%.2gs", seconds)
	case seconds < 120:
		d = d.Round(time.Second)
	case seconds < 600:
		d = d.Round(10 * time.Second)
	case seconds < 7200:
		d = d.Round(time.Minute)
	case seconds < 2*86400:
		d = d.Round(10 * time.Minute)
	default:
		return fmt.Sprintf("%.1f days", seconds/86400)
	}
	// 10m0s reads better as 10m.
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// convolutional reports whether an encoder has a stem.
func convolutional(arch string) bool { return strings.HasPrefix(arch, "resnet") }
