package foreign

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/show"
)

// Load reads the encoder, and the expander unless there is none. It tells progress after
// each array and ends with ctx's error.
func (x *Found) Load(ctx context.Context, f *File, progress func(done, total int)) (model.Encoder, *model.Expander,
	error) {
	if err := x.room(f); err != nil {
		return nil, nil, err
	}
	encoder, err := model.New(x.Encoder, nil)
	if err != nil {
		return nil, nil, err
	}
	done := 0
	take := func(from map[string]string, params []*nn.Param) error {
		for _, p := range params {
			name, ok := from[p.Name]
			if !ok {
				continue // how many batches there were
			}
			v, err := f.read(name)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(v, func(v float32) bool { return v-v != 0 }); i >= 0 {
				return fmt.Errorf("%s: number %d of %s is %v, so no features would be finite", show.Name(f.path), i+1, show.Name(name), v[i])
			}
			if i := slices.IndexFunc(v, func(v float32) bool { return v < 0 }); i >= 0 && strings.HasSuffix(p.Name, "running_var") {
				return fmt.Errorf("%s: number %d of %s is %v, but it is a variance, so the file is damaged", show.Name(f.path), i+1, show.Name(name), v[i])
			}
			if to := x.Size / max(1, x.Encoder.Patch); p.Name == "pos_embed" && to != x.grid {
				v = resized(v, x.grid, to, encoder.Dim())
			}
			p.SetTorch(v)
			done++
			if progress != nil {
				progress(done, x.Taken)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := take(x.from, slices.Concat(encoder.Params(), encoder.Buffers())); err != nil {
		return nil, nil, err
	}
	if x.Expander.None() {
		return encoder, nil, nil
	}
	expander, err := model.NewHead(encoder.Dim(), x.Expander, nil)
	if err != nil {
		return nil, nil, err
	}
	return encoder, expander, take(x.expander, slices.Concat(expander.Params(), expander.Buffers()))
}

// room returns an error if the parameters need more memory than there is. Each has a
// gradient beside it.
func (x *Found) room(f *File) error {
	encoder, dim, err := model.Arrays(x.Encoder)
	if err != nil {
		return err
	}
	expander, err := x.Expander.Arrays(dim)
	if err != nil {
		return err
	}
	total := 0.0
	for _, a := range slices.Concat(encoder, expander) {
		total += float64(a.Len())
	}
	if need, limit := 8*total, host.MemoryLimit(); need > limit.Bytes {
		return fmt.Errorf("%s: the %.0f million parameters in it take %s of memory, but %s", show.Name(f.path), total/1e6, host.Bytes(need), limit)
	}
	return nil
}
