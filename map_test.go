package vicreg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg"
	"vicreg/internal/atlas"
)

func TestMapData(t *testing.T) {
	m := untrained(t, "resnet10", 4, 16)
	folder := filepath.Join(t.TempDir(), "map")
	var phases []string
	o := vicreg.MapOptions{Points: 60, Progress: func(what string, done, total int) {
		if done < 0 || done > total {
			t.Errorf("%s: %d of %d", what, done, total)
		}
		if !slices.Contains(phases, what) {
			phases = append(phases, what)
		}
	}}
	info, err := m.MapData(t.Context(), folder, vicreg.Data{Source: "sample", Limit: 300}, o)
	if err != nil {
		t.Fatal(err)
	}
	if info.Images != 300 || info.Points != 60 || info.Clusters != 2 || len(info.Outliers) != 24 || len(phases) != 5 {
		t.Errorf("%+v, told %v", info, phases)
	}
	if !slices.Contains(info.Notes, "the map shows 60 of 300 images, spread evenly") {
		t.Errorf("notes %v", info.Notes)
	}
	drawn, err := atlas.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range drawn.Points { // the weights are those before training
		if !slices.Equal(p.Neighbours, p.Before) || len(p.Before) != 10 {
			t.Fatalf("point %d: %v now, %v before", i, p.Neighbours, p.Before)
		}
	}
	before, err := os.ReadFile(filepath.Join(folder, "map.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Whatever it is at, it ends with its context, and leaves the map that was there.
	for _, phase := range phases {
		ctx, cancel := context.WithCancel(t.Context())
		o := vicreg.MapOptions{Progress: func(what string, _, _ int) {
			if what == phase {
				cancel()
			}
		}}
		began := time.Now()
		_, err := m.MapData(ctx, folder, vicreg.Data{Source: "sample", Limit: 300}, o)
		if !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
			t.Errorf("ended while %s: %v after %v", phase, err, time.Since(began))
		}
		cancel()
	}
	if after, err := os.ReadFile(filepath.Join(folder, "map.json")); err != nil || string(after) != string(before) {
		t.Errorf("the map has changed: %v", err)
	}
	for _, o := range []vicreg.MapOptions{{Points: 3}, {Points: 20_001}, {Clusters: -1}} {
		_, err := m.MapData(t.Context(), folder, vicreg.Data{Source: "sample"}, o)
		if err == nil || !strings.HasPrefix(err.Error(), "a map of ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
