package advice

import (
	"fmt"

	"vicreg/internal/recipe"
)

// rates are the paper's base learning rates by batch, of VICReg with LARS and 100 epochs of
// ImageNet (table 13); above the last batch it is the one of larger ones.
var rates = []struct {
	batch int
	rate  float64
}{{128, 0.8}, {256, 0.5}, {512, 0.4}}

const rateAbove = 0.3

// Rate fills in the base learning rate that is left to the batch. Between two batches of the
// paper's table it takes the larger one's, which is the smaller rate.
func Rate(c *recipe.Config) Choice {
	rate, why := rateOf(*c)
	c.Optimizer.BaseLR, c.Optimizer.BaseLRAuto = rate, false
	return Choice{"base_lr", rate, why}
}

func rateOf(c recipe.Config) (rate float64, why string) {
	const table = "the paper has rates by batch (table 13) for "
	switch own := c.Optimizer.BaseLR; {
	case c.Method != "vicreg":
		return own, "as it was; " + table + "VICReg, and this is " + c.Method
	case c.Optimizer.Name != "lars":
		return own, "as it was; " + table + "lars, and this is " + c.Optimizer.Name
	case c.Recipe == "imagenet-1000ep":
		return own, "as published for 1000 epochs; " + table + "100"
	}
	for i, r := range rates {
		switch {
		case c.Batch == r.batch:
			return r.rate, fmt.Sprintf("the paper's for a batch of %d (table 13)", r.batch)
		case c.Batch < r.batch && i == 0:
			return r.rate, fmt.Sprintf("the paper's for a batch of %d, the smallest of its table 13", r.batch)
		case c.Batch < r.batch:
			return r.rate, fmt.Sprintf("the paper's for a batch of %d, the next above %d in its table 13", r.batch, c.Batch)
		}
	}
	return rateAbove, fmt.Sprintf("the paper's for batches above %d (table 13)", rates[len(rates)-1].batch)
}
