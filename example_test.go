package vicreg_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"vicreg"
)

// pictures makes a folder with n small images in it, below which there is room for runs.
func pictures(n int) (folder string, remove func()) {
	folder, err := os.MkdirTemp("", "vicreg")
	if err != nil {
		log.Fatal(err)
	}
	for i := range n {
		f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%02d.png", i)))
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, stripes(i)); err != nil {
			log.Fatal(err)
		}
	}
	return folder, func() { os.RemoveAll(folder) }
}

// stripes is a small image, another for each number.
func stripes(number int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 20, 20))
	for y := range 20 {
		for x := range 20 {
			m.Set(x, y, color.RGBA{uint8(x * (5 + number%7)), uint8(y * (3 + number%9)), uint8(40 * (number % 5)), 255})
		}
	}
	return m
}

// tiny is a recipe that is done in no time, and teaches as little.
func tiny() vicreg.Config {
	c, err := vicreg.Recipe("quick")
	if err != nil {
		log.Fatal(err)
	}
	c.Size, c.Batch, c.Epochs, c.Warmup = 16, 16, 2, 0
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet10", 4, "32-32"
	return c
}

// A folder of images in, an encoder out. Ctrl-C saves the run before it ends.
func ExamplePretrain() {
	photos, remove := pictures(32)
	defer remove()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	c, err := vicreg.Recipe("quick") // of images of your own: photos
	if err != nil {
		log.Fatal(err)
	}
	c.Data.Source = photos
	c.Out = filepath.Join(photos, "run")
	c.Size, c.Batch, c.Epochs = 16, 16, 2
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet10", 4, "32-32" // real ones are wider

	run, err := vicreg.Pretrain(ctx, c)
	if errors.Is(err, vicreg.ErrInterrupted) {
		fmt.Println("vicreg.Resume goes on with", c.Out)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	s := run.Summary
	fmt.Printf("%d images, %d epochs, %d steps, loss %v\n", s.Images, s.Epochs, s.Steps, s.Loss > 0)
	// Output:
	// 32 images, 2 epochs, 4 steps, loss true
}

// A Reporter hears how a run goes; of its methods this one has Epoch alone.
type printer struct{ vicreg.Silent }

func (printer) Epoch(e vicreg.Epoch) { fmt.Println("epoch", e.Epoch, "done after step", e.Step) }

func ExampleWithReporter() {
	photos, remove := pictures(32)
	defer remove()
	c := tiny()
	c.Data.Source, c.Out = photos, filepath.Join(photos, "run")
	if _, err := vicreg.Pretrain(context.Background(), c, vicreg.WithReporter(printer{})); err != nil {
		log.Fatal(err)
	}
	// Output:
	// epoch 1 done after step 2
	// epoch 2 done after step 4
}

// Another optimizer, another encoder, and what the run would be.
func ExamplePreview() {
	c, err := vicreg.RecipeFor("fashion-mnist", "barlow-twins")
	if err != nil {
		log.Fatal(err)
	}
	c.Data.Source, c.Data.Limit = "sample", 64
	c.Batch, c.Epochs = 32, 3
	c.Encoder = vicreg.Encoder{Arch: "resnet10", Width: 8, Stem: "small"}
	c.Optimizer = vicreg.Optimizer{
		Name: "adamw", BaseLR: 1e-3, EndLRFactor: 0.001, WeightDecay: 0.05, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8,
	}
	if err := vicreg.Check(c); err != nil {
		log.Fatal(err)
	}
	f, err := vicreg.Preview(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d steps over %d %s of %s\n", f.Steps, f.Images, f.Kind, f.Dataset)
	// Output:
	// 6 steps over 64 images of sample
}

// Two kinds of data that belong together, a row each: readings of a machine, and its motor.
func ExampleConfig_SetPairs() {
	folder, remove := pictures(0)
	defer remove()
	manifest := filepath.Join(folder, "pairs.csv")
	var rows strings.Builder
	rows.WriteString("temp,load,rpm,note\n")
	for i := range 64 {
		fmt.Fprintf(&rows, "%d,%.2f,%d,motor %d\n", 20+i, 0.5+float64(i%7), 900+10*i, i%5)
	}
	if err := os.WriteFile(manifest, []byte(rows.String()), 0o644); err != nil {
		log.Fatal(err)
	}

	c, err := vicreg.Recipe("quick")
	if err != nil {
		log.Fatal(err)
	}
	a := vicreg.Side{Type: "numeric", Columns: []string{"temp", "load"}}
	b, err := vicreg.ParseSide("numeric=rpm")
	if err != nil {
		log.Fatal(err)
	}
	b.Numeric = &vicreg.NumericView{Jitter: 0.2} // more noise than usual, and nothing left out
	if err := c.SetPairs(manifest, a, b); err != nil {
		log.Fatal(err)
	}
	c.Encoder.Width = 16
	c.Expander, c.Batch, c.Epochs, c.Warmup = "32-32", 16, 2, 0
	c.Out = filepath.Join(folder, "run")

	run, err := vicreg.Pretrain(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	found, err := vicreg.Retrieve(context.Background(), run.Folder, vicreg.PairData{}, vicreg.EvalOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("encoder", c.Encoder.Arch)
	fmt.Println("rows held out look for their partners among", found.AToB.Gallery)
	// Output:
	// encoder mlp
	// rows held out look for their partners among 12
}

// A handler that answers an image with its features. One Model serves all requests.
func ExampleModel_Embed() {
	photos, remove := pictures(32)
	defer remove()
	c := tiny()
	c.Data.Source, c.Out = photos, filepath.Join(photos, "run")
	if _, err := vicreg.Pretrain(context.Background(), c); err != nil {
		log.Fatal(err)
	}

	model, err := vicreg.Open(c.Out)
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		img, _, err := image.Decode(http.MaxBytesReader(w, r.Body, 10<<20))
		if err != nil {
			http.Error(w, "send a PNG of 10 MB or less: "+err.Error(), http.StatusBadRequest)
			return
		}
		features, err := model.Embed(r.Context(), img) // ends when the client goes away
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(features[0])
	})

	server := httptest.NewServer(handler)
	defer server.Close()
	file, err := os.Open(filepath.Join(photos, "07.png"))
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	answer, err := http.Post(server.URL, "image/png", file)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var features []float32
	if err := json.NewDecoder(answer.Body).Decode(&features); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Status, len(features), "features")
	// Output:
	// 200 OK 32 features
}

func ExampleModel_EmbedData() {
	m, err := vicreg.Open("runs/photos")
	if err != nil {
		log.Fatal(err)
	}
	e, err := m.EmbedData(context.Background(), vicreg.Data{Source: "photos"}, vicreg.EmbedOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for i, name := range e.Names {
		fmt.Println(name, e.Features[i][:4])
	}
}

func ExampleModel_Evaluate() {
	m, err := vicreg.Open("runs/photos")
	if err != nil {
		log.Fatal(err)
	}
	data := vicreg.Data{Source: "labelled", Holdout: 0.2}
	s, err := m.Evaluate(context.Background(), data, vicreg.EvalOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("kNN %.1f%%, untrained %.1f%%\n", 100*s.KNN, 100*s.RandomInitKNN)
}

// The loss alone, and its gradients: four embeddings of two dimensions, seen twice.
func ExampleLoss() {
	z1 := []float32{1, 0, 0, 1, -1, 0, 0, -1}
	z2 := []float32{1, 0.5, 0, 1, -1, 0.5, 0, -1}
	dz1, dz2 := make([]float32, len(z1)), make([]float32, len(z2))

	terms, err := vicreg.NewLoss().Eval(z1, z2, 4, 2, dz1, dz2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("invariance %.4f, variance %.4f, covariance %.4f, total %.4f\n",
		terms.Invariance, terms.Variance, terms.Covariance, terms.Total)
	fmt.Printf("gradient of the first embedding: %.3f\n", dz1[:2])
	// Output:
	// invariance 0.0625, variance 0.1711, covariance 0.0000, total 5.8390
	// gradient of the first embedding: [-2.551 -3.125]
}
