package foreign

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// Left is a part of a file that is not taken.
type Left struct {
	Name    string   `json:"name"`
	Is      string   `json:"is"` // what it is; empty: that is not known
	Arrays  int      `json:"arrays"`
	Classes int      `json:"classes,omitempty"` // of a classifier
	Names   []string `json:"names,omitempty"`   // some of its arrays, where it is not known
}

func (l Left) String() string {
	arrays := show.Count(l.Arrays, "array")
	switch {
	case l.Classes > 0:
		return fmt.Sprintf("%s, %s (%s, %d classes)", show.Name(l.Name), l.Is, arrays, l.Classes)
	case l.Is != "":
		return fmt.Sprintf("%s, %s (%s)", show.Name(l.Name), l.Is, arrays)
	}
	var names []string
	for _, n := range l.Names {
		names = append(names, show.Name(n))
	}
	if more := l.Arrays - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("%s, which is not known (%s)", show.Name(l.Name), strings.Join(names, ", "))
}

// parts are what checkpoints hold beside an encoder, by the first word of its names.
var parts = map[string]string{
	"fc": "a classifier or projector", "head": "a classifier or projector", "heads": "a classifier",
	"classifier": "a classifier", "linear": "a classifier", "pre_logits": "a layer before the classifier",
	"projector": "a projector", "projection": "a projector", "projetion": "a projector",
	"projection_head": "a projector", "maps_projector": "a projector of maps", "neck": "a projector",
	"predictor": "a predictor", "prediction_head": "a predictor", "online_predictor": "a predictor",
	"prototypes": "prototypes", "queue": "a queue", "queue_ptr": "the place in a queue", "bn": "a normalisation of embeddings",
	"encoder_k": "a momentum encoder", "momentum_encoder": "a momentum encoder",
	"momentum_backbone": "a momentum encoder", "backbone_momentum": "a momentum encoder",
	"momentum_projector": "a momentum projector", "projection_head_momentum": "a momentum projector",
	"momentum_classifier": "a classifier", "target_encoder": "a momentum encoder",
	"target_network": "a momentum encoder", "target_network_state_dict": "a momentum encoder",
	"target_net": "a momentum encoder", "target": "a momentum encoder",
	"student": "the student", "student_backbone": "the student", "student_head": "the student's projector",
	"teacher": "the teacher", "teacher_backbone": "the teacher", "teacher_head": "the teacher's projector",
	"model_ema": average, "ema": average, "state_dict_ema": average, "ema_model": average, "averaged_model": average,
	"aux_classifier": "a classifier",
	"mask_token":     "of a decoder", "decoder": "a decoder", "decoder_embed": "of a decoder",
	"decoder_pos_embed": "of a decoder", "decoder_blocks": "of a decoder", "decoder_norm": "of a decoder",
	"decoder_pred": "of a decoder", "optimizer": "state of an optimizer", "optimizer_states": "state of an optimizer",
	"optimizer_state_dict": "state of an optimizer", "lr_schedulers": "a schedule", "scheduler": "a schedule",
	"scaler": "state of mixed precision", "fp16_scaler": "state of mixed precision", "dino_loss": "the centre of a loss",
	"criterion": "state of a loss", "loss": "state of a loss", "callbacks": "state of training", "loops": "state of training",
}

// average is what training keeps beside the weights; --prefix takes it.
const average = "an average of the weights over steps"

// mostNamed is how many arrays of a part that is not known are named.
const mostNamed = 3

// count fills in what is taken and what is left.
func (x *Found) count(f *File) {
	taken := map[string]bool{}
	for _, from := range []map[string]string{x.from, x.expander} {
		for _, name := range from {
			taken[name] = true
		}
	}
	x.Taken = len(taken)
	at := strings.Split(strings.TrimSuffix(bare(x.Prefix), "."), ".")
	where := map[string]int{}
	for _, a := range f.Arrays {
		if taken[a.Name] {
			continue
		}
		name := partOf(strings.Split(bare(a.Name), "."), at)
		i, ok := where[name]
		if !ok {
			i = len(x.Left)
			where[name] = i
			word := name[strings.LastIndexByte(name, '.')+1:]
			x.Left = append(x.Left, Left{Name: name, Is: parts[word]})
		}
		l := &x.Left[i]
		l.Arrays++
		if l.Is == "" && len(l.Names) < mostNamed {
			l.Names = append(l.Names, a.Name)
		}
		if strings.Contains(l.Is, "classifier") && len(a.Shape) == 2 && strings.HasSuffix(a.Name, name+".weight") {
			l.Classes, l.Is = a.Shape[0], "a classifier"
		}
	}
	for i := range x.Left { // layers, not one
		if l := &x.Left[i]; l.Is == parts["fc"] && l.Arrays > 2 {
			l.Is = "a projector"
		}
	}
}

// partOf is the part of a file that an array belongs to: its name up to the word in
// which it first differs from what stands before the names of the encoder.
func partOf(name, encoder []string) string {
	i := 0
	for i < len(encoder) && i < len(name)-1 && name[i] == encoder[i] {
		i++
	}
	if i == len(name) || name[i] == "" {
		i = max(0, i-1)
	}
	return strings.Join(slices.Clone(name[:i+1]), ".")
}
