package export

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"

	"vicreg/internal/onnx"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
	"vicreg/internal/tensor"
)

// input is what an encoder reads, as other tools hand it over: before normalisation, and
// with the channels of an item first.
type input struct {
	kind       string // of the items, as [pairs.Types] has it
	name       string // of the graph's input
	what       string // for people
	shape      []int  // of an item: c × h × w, c × t, or values
	own        []int  // the same as the encoder has it: h × w × c, t × c, or values
	mean, std  []float64
	divided    bool  // (v − mean) / std as of images, else (v − mean) · (1 / std)
	raw        bool  // of images, whose values are those of files
	incomplete []int // columns of numbers that may be missing, each with an indicator at the end
}

// newInput returns what a model reads.
func newInput(m *pretrained.Model) input {
	own := m.Meta.Encoder.Input.Shape
	in := input{kind: "image", own: own, mean: m.Mean, std: m.Std, raw: m.Raw}
	if m.Side != nil {
		in.kind, in.mean, in.std, in.raw = m.Side.Type, m.Side.Mean, m.Side.Std, m.Side.Raw()
	}
	switch in.kind {
	case "image":
		in.divided = true
		in.name, in.shape = "pixels", []int{own[2], own[0], own[1]}
		in.what = fmt.Sprintf("%s pixels from 0 to 1", channelOrder(own[2]))
		if in.raw {
			in.what = fmt.Sprintf("%s of values as files have them", show.Count(own[2], "channel"))
		}
	case "waveform":
		in.name, in.shape = "samples", []int{own[1], own[0]}
		in.what = fmt.Sprintf("samples from -1 to 1, %d a second", m.Side.Rate)
	case "spectrogram":
		in.name, in.shape = "spectrogram", []int{own[2], own[0], own[1]}
		in.what = "natural logarithms of the power in mel bands × frames"
	case "series":
		in.name, in.shape = "series", []int{own[1], own[0]}
		in.what = "points of a series as they are"
	case "numeric":
		in.name, in.shape = "values", []int{len(in.mean)}
		in.what = "columns as they are, NaN where a value is missing"
		for i, name := range m.Side.Columns {
			if at := len(in.incomplete); at < len(m.Side.Incomplete) && m.Side.Incomplete[at] == name {
				in.incomplete = append(in.incomplete, i)
			}
		}
	case "embedding":
		in.name, in.shape, in.what = "vectors", own, "vectors as they are"
	case "text":
		in.name, in.shape = "tokens", own
		in.what = "bytes, each plus 1; 0 is padding"
	}
	return in
}

func channelOrder(channels int) string {
	if channels == 1 {
		return "grey"
	}
	return "RGB"
}

// metadata says in the file what the input is.
func (in *input) metadata(m *pretrained.Model) map[string]string {
	all := map[string]string{"input": in.what, "kind": in.kind}
	if len(in.mean) > 0 {
		all["mean"], all["std"] = list(in.mean), list(in.std)
	}
	switch in.kind {
	case "image":
		all["size"], all["channels"] = strconv.Itoa(in.own[0]), channelOrder(in.own[2])
		if in.raw {
			all["channels"], all["values"] = strconv.Itoa(in.own[2]), recipe.Raw
		}
		if len(m.Bands) > 0 {
			all["bands"] = list(m.Bands)
		}
		all["resize"] = strconv.Itoa(resize(in.own[0]))
	case "waveform":
		all["rate"] = strconv.Itoa(m.Side.Rate)
	case "spectrogram":
		all["rate"], all["mel"] = strconv.Itoa(m.Side.Rate), list(m.Side.Mel)
	case "series":
		if len(m.Side.Names) > 0 {
			all["channels"] = list(m.Side.Names)
		}
	case "numeric":
		all["columns"] = list(m.Side.Columns)
		if len(m.Side.Incomplete) > 0 {
			all["incomplete"] = list(m.Side.Incomplete)
		}
	}
	return all
}

// resize is the shorter side of an image before its middle is cut out.
func resize(size int) int { return (size*256 + 112) / 224 }

// list writes a value as JSON.
func list(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("export: %v", err))
	}
	return string(raw)
}

// channel returns to which mean and deviation value i of an item belongs.
func (in *input) channel(i int) int {
	if len(in.shape) == 1 {
		return i
	}
	return i / (tensor.Count(in.shape) / in.shape[0]) % len(in.mean)
}

// batch makes up n items: as a graph reads them, and as the encoder does.
func (in *input) batch(n int) (raw onnx.Array, x *tensor.Tensor) {
	rng := rand.New(rand.NewPCG(1, 2))
	raw.Shape = append([]int{n}, in.shape...)
	each, own := tensor.Count(in.shape), tensor.Count(in.own)
	x = tensor.New(append([]int{n}, in.own...)...)
	if in.kind == "text" {
		raw.Ints = make([]int64, n*each)
		for item := range n { // of all lengths, none too, with padding in other places than the end as well
			if n > 2 && item == 0 {
				continue
			}
			for i := range (item + 1) * each / n {
				raw.Ints[item*each+i] = max(0, rng.Int64N(257+8)-8)
			}
		}
		for i, v := range raw.Ints {
			x.Data[i] = float32(v)
		}
		return raw, x
	}
	raw.Floats = make([]float32, n*each)
	for item := range n {
		for i := range each {
			c := in.channel(i)
			v, missing := float32(rng.Float64()), false
			if in.kind != "image" || in.raw {
				v = float32(in.mean[c] + in.std[c]*rng.NormFloat64())
				missing = in.kind == "numeric" && rng.IntN(4) == 0
			}
			value := (v - float32(in.mean[c])) * float32(1/in.std[c])
			if in.divided {
				value = (v - float32(in.mean[c])) / float32(in.std[c])
			}
			if missing {
				v, value = nan, 0
			}
			raw.Floats[item*each+i] = v
			x.Data[item*own+in.place(i)] = value
		}
		for i, column := range in.incomplete {
			if v := raw.Floats[item*each+column]; v != v {
				x.Data[item*own+each+i] = 1
			}
		}
	}
	return raw, x
}

// place returns where value i of an item is in the encoder's order.
func (in *input) place(i int) int {
	if len(in.shape) == 1 {
		return i
	}
	places := tensor.Count(in.shape[1:])
	return i%places*in.shape[0] + i/places
}
