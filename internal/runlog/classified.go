package runlog

// Classified is how many images a trained classifier gets right, as shares from 0 to 1.
type Classified struct {
	Top1   float64  `json:"top1"`           // whose class is ranked first
	Top5   *float64 `json:"top5,omitempty"` // or among the first five; nil with 5 classes or fewer
	Scored int      `json:"scored"`         // images that these are shares of
}

// Classifier is what came of teaching an encoder classes.
type Classifier struct {
	Classified            // at the end, on all images there are to score on
	Best       Classified `json:"best"`       // of the scores at the ends of epochs, perhaps on some of the images
	BestEpoch  int        `json:"best_epoch"` // from 1; 0: there were none

	Classes []ClassScore `json:"classes"` // in order

	// Confusion lists, of the classes by number, how many images of a class were taken for
	// a class: class, class they were taken for, images.
	Confusion [][3]int `json:"confusion"`
}

// Commonest is what naming always the commonest of the classes would get right, as a share
// from 0 to 1: an answer that knows nothing of an image. It is 0 where nothing was scored.
func (c *Classifier) Commonest() float64 {
	most, all := 0, 0
	for _, s := range c.Classes {
		most, all = max(most, s.Items), all+s.Items
	}
	if all == 0 {
		return 0
	}
	return float64(most) / float64(all)
}

// ClassScore is what a classifier gets right of a class.
type ClassScore struct {
	Name   string `json:"name"`
	Items  int    `json:"items"`
	Right  int    `json:"right"`  // its class is ranked first
	Right5 int    `json:"right5"` // or among the first five
}
