package vicreg_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	"log"
	"os"
	"os/signal"

	"vicreg"
)

// A folder of images in, an encoder out. Ctrl-C saves the run before it ends.
func ExamplePretrain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	c, err := vicreg.Recipe("fashion-mnist")
	if err != nil {
		log.Fatal(err)
	}
	c.Data.Source = "photos"
	c.Size = 64
	c.Encoder.Width = 64
	c.Epochs = 100
	c.Out = "runs/photos"

	run, err := vicreg.Pretrain(ctx, c)
	if errors.Is(err, vicreg.ErrInterrupted) {
		fmt.Println("vicreg.Resume goes on with", c.Out)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.3g, effective rank %.1f\n", run.Summary.Loss, run.Summary.Rank)
}

func ExampleOpen() {
	m, err := vicreg.Open("runs/photos")
	if err != nil {
		log.Fatal(err)
	}
	f, err := os.Open("cat.jpg")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		log.Fatal(err)
	}
	features, err := m.Embed(context.Background(), img)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(features[0]), "features")
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
	s, err := m.Evaluate(context.Background(), vicreg.Data{Source: "labelled", Holdout: 0.2}, vicreg.EvalOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("kNN %.1f%%, untrained %.1f%%\n", 100*s.KNN, 100*s.RandomInitKNN)
}
