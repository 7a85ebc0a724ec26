package pretrained

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/imagefile"
	"vicreg/internal/model"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
	"vicreg/internal/settings"
)

// encode spells the metadata so that a reader in any language can use it.
func (m *Meta) encode() map[string]string {
	list := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("pretrained: %v", err))
		}
		return string(raw)
	}
	e := m.Encoder
	side := ""
	if m.Side != nil {
		raw, err := yaml.Marshal(m.Side)
		if err != nil {
			panic(fmt.Sprintf("pretrained: %v", err))
		}
		side = string(raw)
	}
	all := map[string]string{
		"side":   side, // YAML, as in a run's configuration; empty of images
		"format": format, "method": m.Method,
		"arch": e.Arch, "width": strconv.Itoa(e.Width), "stem": e.Stem, "patch": strconv.Itoa(e.Patch), "input": list(e.Input),
		"branch":             strconv.Itoa(m.Branch),
		"zero_init_residual": strconv.FormatBool(e.ZeroInitResidual), "expander": m.Expander.Widths,
		"expander_norm": strconv.FormatBool(!m.Expander.NoNorm), "expander_last": m.Expander.Last,
		// [] of pairs, not null
		"size": strconv.Itoa(m.Size), "mean": list(append([]float64{}, m.Mean...)), "std": list(append([]float64{}, m.Std...)),
		"dataset": m.Dataset, "images": strconv.Itoa(m.Images), "epochs": strconv.Itoa(m.Epochs),
		"step": strconv.Itoa(m.Step), "steps": strconv.Itoa(m.Steps),
		"seed": strconv.FormatUint(m.Seed, 10),
	}
	for key, v := range map[string]int{"dim": e.Dim, "blocks": e.Blocks, "heads": e.Heads} {
		if v != 0 {
			all[key] = strconv.Itoa(v)
		}
	}
	for key, v := range map[string]string{"pool": e.Pool, "positions": e.Positions} {
		if v != "" {
			all[key] = v
		}
	}
	if m.Raw {
		all["values"] = recipe.Raw
	}
	if len(m.Bands) > 0 {
		all["bands"] = list(m.Bands)
	}
	if m.Init != "" {
		all["init"] = m.Init
	}
	if m.Source != nil {
		all["source"] = list(m.Source)
	}
	return all
}

func (m *Meta) decode(meta map[string]string) (err error) {
	if meta["format"] == firstFormat {
		meta["patch"], meta["branch"] = "0", "0"
		meta["input"] = fmt.Sprintf(`{"kind":"images","shape":[%s,%s,%s]}`, meta["size"], meta["size"], meta["channels"])
	}
	parse := func(key string, set func(string) error) {
		if set(meta[key]) != nil && err == nil {
			err = fmt.Errorf("its metadata has %s %s, which cannot be read", key, quote(meta[key]))
		}
	}
	number := func(key string, to *int, least, most int) {
		parse(key, func(s string) (e error) {
			if *to, e = strconv.Atoi(s); e == nil && (*to < least || *to > most) && err == nil {
				bounds := fmt.Sprintf("at least %d", least)
				if most < math.MaxInt {
					bounds = fmt.Sprintf("between %d and %d", least, most)
				}
				err = fmt.Errorf("its metadata has %s %s, but it must be %s", key, s, bounds)
			}
			return e
		})
	}
	list := func(key string, to *[]float64, least float64) {
		parse(key, func(s string) error {
			e := json.Unmarshal([]byte(s), to)
			for _, v := range *to {
				if v <= least && e == nil && err == nil {
					err = fmt.Errorf("its metadata has %s %s, but all must be above 0", key, quote(s))
				}
			}
			return e
		})
	}
	if _, ok := meta["steps"]; !ok { // when there were models of finished runs alone
		if _, ok := meta["step"]; !ok {
			meta["step"], meta["steps"] = "0", "0"
		}
	}
	if meta["expander_norm"] == "" { // when there was one kind of expanders
		meta["expander_norm"], meta["expander_last"] = "true", model.Plain
	}
	m.Method, m.Dataset, m.Init = meta["method"], meta["dataset"], meta["init"]
	m.Expander.Widths, m.Expander.Last = meta["expander"], meta["expander_last"]
	parse("expander_norm", func(s string) error {
		norm, e := strconv.ParseBool(s)
		m.Expander.NoNorm = !norm
		return e
	})
	m.Encoder.Arch, m.Encoder.Stem = meta["arch"], meta["stem"]
	number("width", &m.Encoder.Width, 0, math.MaxInt)
	number("patch", &m.Encoder.Patch, 0, math.MaxInt)
	for i, to := range []*int{&m.Encoder.Dim, &m.Encoder.Blocks, &m.Encoder.Heads} {
		key := []string{"dim", "blocks", "heads"}[i]
		if _, ok := meta[key]; ok { // where it is not that of the architecture's name
			number(key, to, 1, math.MaxInt)
		}
	}
	m.Encoder.Pool, m.Encoder.Positions = meta["pool"], meta["positions"]
	number("branch", &m.Branch, 0, 1)
	parse("input", func(s string) error { return json.Unmarshal([]byte(s), &m.Encoder.Input) })
	number("size", &m.Size, 1, mostSize)
	number("images", &m.Images, 0, math.MaxInt)
	number("epochs", &m.Epochs, 0, math.MaxInt)
	number("steps", &m.Steps, 0, math.MaxInt)
	number("step", &m.Step, 0, m.Steps)
	parse("zero_init_residual", func(s string) (e error) { m.Encoder.ZeroInitResidual, e = strconv.ParseBool(s); return e })
	parse("seed", func(s string) (e error) { m.Seed, e = strconv.ParseUint(s, 10, 64); return e })
	list("mean", &m.Mean, math.Inf(-1))
	list("std", &m.Std, 0)
	m.Raw = meta["values"] == recipe.Raw
	if meta["bands"] != "" {
		parse("bands", func(s string) error { return json.Unmarshal([]byte(s), &m.Bands) })
	}
	for _, b := range m.Bands {
		if (b < 1 || b > imagefile.MostBands) && err == nil {
			err = fmt.Errorf("its metadata has bands %s, but channels are numbered from 1 to %d", quote(meta["bands"]), imagefile.MostBands)
		}
	}
	if meta["source"] != "" {
		parse("source", func(s string) error { return json.Unmarshal([]byte(s), &m.Source) })
	}
	if err != nil {
		return err
	}
	if err := m.checkSpelling(meta); err != nil {
		return err
	}
	if meta["side"] != "" {
		return m.decodeSide(meta["side"])
	}
	if in := m.Encoder.Input.Shape; m.Encoder.Input.Kind != model.Images || len(in) != 3 || in[0] != m.Size ||
		in[1] != m.Size ||
		in[2] < 1 || in[2] > imagefile.MostChannels || in[2] != 1 && in[2] != 3 && !m.Raw ||
		len(m.Mean) != in[2] || len(m.Std) != in[2] {
		return fmt.Errorf("its metadata is contradictory: input %s, mean %s, std %s, size %d", quote(meta["input"]), quote(meta["mean"]), quote(meta["std"]), m.Size)
	}
	return nil
}

// mostSize is more than any encoder's images have, in pixels; package model has
// limits of its own.
const mostSize = 1 << 16

// checkSpelling refuses values that are not spelt as encode does, so that no value means
// something else to another reader.
func (m *Meta) checkSpelling(meta map[string]string) error {
	for key, want := range m.encode() {
		got := meta[key]
		switch key {
		case "format", "side":
			continue
		case "input", "mean", "std", "source", "bands":
			var compact bytes.Buffer
			if json.Compact(&compact, []byte(got)) == nil {
				got = compact.String()
			}
		}
		if got != want {
			return fmt.Errorf("its metadata has %s %s, which should be %s", key, quote(meta[key]), quote(want))
		}
	}
	return nil
}

// quote writes a value for a message, cut short if it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// decodeSide reads the side of pairs that a model is for.
func (m *Meta) decodeSide(text string) error {
	m.Side = new(pairs.Side)
	if err := settings.Unmarshal([]byte(text), "the side in its metadata", m.Side); err != nil {
		return err
	}
	if err := m.Side.Check(); err != nil {
		return fmt.Errorf("its metadata is contradictory: %w", err)
	}
	if !m.Side.Resolved() || !slices.Equal(m.Side.Shape(), m.Encoder.Input.Shape) {
		return fmt.Errorf("its metadata is contradictory: input %v of %s", m.Encoder.Input.Shape, m.Side)
	}
	return nil
}
