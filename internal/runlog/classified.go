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

// ClassScore is what a classifier gets right of a class.
type ClassScore struct {
	Name   string `json:"name"`
	Items  int    `json:"items"`
	Right  int    `json:"right"`  // its class is ranked first
	Right5 int    `json:"right5"` // or among the first five
}
