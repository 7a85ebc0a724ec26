// Command outside embeds images with a model, from eight goroutines at once, as a module of
// its own: see module_test.go.
package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"image"
	"log"
	"math"
	"os"
	"sync"
	"time"

	"vicreg"
)

func main() {
	m, err := vicreg.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	const goroutines, images = 8, 25
	alone := embed(m, images)
	var wg sync.WaitGroup
	start := time.Now()
	for range goroutines {
		wg.Go(func() {
			if sum := embed(m, images); sum != alone {
				log.Fatalf("other features than alone: %08x, not %08x", sum, alone)
			}
		})
	}
	wg.Wait()
	log.Printf("%.1f images a second", goroutines*images/time.Since(start).Seconds())
	fmt.Printf("%d goroutines, %d images each, the same bits as one\n", goroutines, images)
}

// embed returns a checksum of the features of some images.
func embed(m *vicreg.Model, images int) uint32 {
	sum := crc32.NewIEEE()
	for i := range images {
		img := image.NewRGBA(image.Rect(0, 0, 90+i, 80))
		for j := range img.Pix {
			img.Pix[j] = uint8(j * (i + 3))
		}
		features, err := m.Embed(context.Background(), img)
		if err != nil {
			log.Fatal(err)
		}
		for _, v := range features[0] {
			bits := math.Float32bits(v)
			sum.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
		}
	}
	return sum.Sum32()
}
