package advice

import (
	"fmt"
	"math"
	"strings"
	"time"

	"vicreg/internal/eval"
	"vicreg/internal/recipe"
)

// Speed is how long this machine takes, in seconds.
type Speed struct {
	Step   float64 // of training, its images decoded already; 0: not known
	Decode float64 // an image, with all workers at it
	Embed  float64 // an image that is scored, decoded already
	Cached float64 // share of the images that stay decoded
	Save   float64 // a checkpoint
}

// Seconds returns how long a run takes until its summary, of which an epoch takes so
// much. 0: it is not known.
func Seconds(c recipe.Config, f Facts, s Speed) (whole, epoch float64) {
	if s.Step <= 0 {
		return 0, 0
	}
	steps := f.Images / c.Batch
	decode := (1 - s.Cached) * s.Decode
	epoch = float64(steps)*(s.Step+float64(c.Batch)*decode) + s.Save
	// Every image is looked at once before the first epoch.
	whole = float64(f.Images+f.Scored) * s.Decode
	if f.Scored > 0 {
		every := c.Eval.Every
		if every == recipe.Automatic {
			every = recipe.UsualEvery(max(c.Epochs, 100))
		}
		if every > 0 {
			few := func(n int) int {
				if l := c.Eval.Limit; l > 0 {
					n = min(n, l)
				}
				return n
			}
			epoch += float64(few(f.Images)+few(f.Scored)) * (s.Embed + decode) / float64(every)
		}
		whole += 2 * float64(f.Images+f.Scored) * (s.Embed + decode) // trained and untrained
	}
	if f.Judged > 0 { // at times on the way, and at the end beside the untrained encoder
		looks := eval.Looks(c.Epochs, f.Images, f.Judged)
		whole += float64(looks+1) * float64(f.Judged) * (2*s.Embed + decode)
	}
	return whole + float64(c.Epochs)*epoch, epoch
}

// Decoding says what helps where much of the time goes into decoding the same images
// again, or is empty.
func Decoding(c recipe.Config, f Facts, s Speed) string {
	_, epoch := Seconds(c, f, s)
	share := float64(f.Images/c.Batch*c.Batch) * (1 - s.Cached) * s.Decode / epoch
	if !(share > 0.25) {
		return ""
	}
	return fmt.Sprintf("decoding the images anew in each epoch takes about %.0f%% of the time; vicreg pack --size %d makes a file of them that needs none, for --data", 100*share, 2*c.Size)
}

// Epochs chooses how many there are.
func Epochs(c recipe.Config, f Facts, s Speed) Choice {
	_, epoch := Seconds(c, f, s)
	if epoch <= 0 {
		return Choice{"epochs", 100, "usual, as the time that one takes is not known"}
	}
	budget := Span(60 * c.Minutes)
	n := int(math.Min(60*c.Minutes/epoch, mostEpochs+1))
	each := fmt.Sprintf("one takes about %s", Span(epoch))
	switch {
	case n > mostEpochs:
		return Choice{"epochs", mostEpochs, fmt.Sprintf("the most that is chosen; %s", each)}
	case n < leastEpochs:
		return Choice{"epochs", leastEpochs, fmt.Sprintf("the least that is chosen; %s, so this takes longer than %s", each, budget)}
	}
	return Choice{"epochs", n, fmt.Sprintf("%s, and training may take %s", each, budget)}
}

// Span spells some seconds for people, to two figures or so.
func Span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case seconds >= 1e9:
		return "more than 30 years"
	case seconds < 10:
		return fmt.Sprintf("%.2gs", seconds)
	case seconds < 120:
		d = d.Round(time.Second)
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
