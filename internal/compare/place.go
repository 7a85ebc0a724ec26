package compare

// without are the means of a group's figures that need no labels.
type without struct {
	Views, RankMe, LiDAR float64 // the first in percent
	N                    int     // runs that have them
}

// unlabelled returns the figures of a group without labels.
func (g *Group) unlabelled() (w without) {
	for _, r := range g.Runs {
		u, v := r.Summary.Unlabelled, r.Summary.Verdict
		if u == nil || v == nil {
			continue
		}
		w.N++
		w.Views += 100 * v.Trained.R1
		w.RankMe += u.Trained.Representation.RankMe
		w.LiDAR += u.Trained.Representation.LiDAR
	}
	if n := float64(w.N); n > 0 {
		w.Views, w.RankMe, w.LiDAR = w.Views/n, w.RankMe/n, w.LiDAR/n
	}
	return w
}
