package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// bare are a group's figures that need no labels, each the mean of its runs.
type bare struct {
	Views, RankMe, LiDAR Stat // the first in percent, RankMe of representations
}

// bare returns what is known of a group without labels.
func (g *Group) bare() bare {
	var views, rank, lidar []float64
	for _, r := range g.Runs {
		if v := r.Summary.Verdict; v != nil {
			views = append(views, 100*v.Trained.R1)
		}
		if u := r.Summary.Unlabelled; u != nil {
			rank = append(rank, u.Trained.Representation.RankMe)
			lidar = append(lidar, u.Trained.Representation.LiDAR)
		}
	}
	return bare{NewStat(views), NewStat(rank), NewStat(lidar)}
}

// places returns the place of each group without labels: 1 for the one whose views find
// each other most often, and so on; equal ones share the better place. It is 0 of a group
// of which that is not known. See docs/evaluation.md for how well that agrees with scores.
// Groups that were measured on different numbers of images have no places: unlike says which.
func places(groups []Group) (out []int, unlike string) {
	out = make([]int, len(groups))
	if unlike = unalike(groups); unlike != "" {
		return out, unlike
	}
	for i := range groups {
		mine := groups[i].bare().Views
		if mine.N == 0 {
			continue
		}
		out[i] = 1
		for k := range groups {
			if other := groups[k].bare().Views; other.N > 0 && other.Mean > mine.Mean {
				out[i]++
			}
		}
	}
	return out, ""
}

// unalike names the numbers of images among which views were looked for, if they differ.
func unalike(groups []Group) string {
	var said []string
	items, differ := 0, false
	for _, g := range groups {
		for _, r := range g.Runs {
			v := r.Summary.Verdict
			if v == nil {
				continue
			}
			differ = differ || items > 0 && v.Items != items
			items = v.Items
			if text := fmt.Sprintf("%s %d", show.Line(g.Name), v.Items); !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
	}
	if !differ {
		return ""
	}
	return strings.Join(said, ", ")
}

// ranked returns the groups in the order of their places if none has scores, those without
// a place last; else as they are.
func ranked(groups []Group) []Group {
	if slices.ContainsFunc(groups, func(g Group) bool { return g.KNN.N > 0 || g.Linear.N > 0 }) {
		return groups
	}
	place := map[string]int{}
	order, _ := places(groups)
	for i, p := range order {
		place[groups[i].Name] = cmp.Or(p, len(groups)+1)
	}
	out := slices.Clone(groups)
	slices.SortStableFunc(out, func(a, b Group) int { return place[a.Name] - place[b.Name] })
	return out
}

// bareHead are the columns of figures without labels, and bareCells those of a group.
const bareHead = " views | RankMe | LiDAR | place without labels |"

func bareCells(b bare, place int) string {
	number := func(s Stat) string {
		if s.N == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f", s.Mean)
	}
	at := "–"
	if place > 0 {
		at = fmt.Sprint(place)
	}
	return fmt.Sprintf(" %s | %s | %s | %s |", number(b.Views), number(b.RankMe), number(b.LiDAR), at)
}

// bareUntrained are the cells of the group's encoders before any training.
func (g *Group) bareUntrained() string {
	var views, rank, lidar []float64
	for _, r := range g.Runs {
		if v := r.Summary.Verdict; v != nil && v.Untrained != nil {
			views = append(views, 100*v.Untrained.R1)
		}
		if u := r.Summary.Unlabelled; u != nil {
			rank = append(rank, u.Untrained.Representation.RankMe)
			lidar = append(lidar, u.Untrained.Representation.LiDAR)
		}
	}
	if len(views) == 0 && len(rank) == 0 {
		return " | | | |"
	}
	return bareCells(bare{NewStat(views), NewStat(rank), NewStat(lidar)}, 0)
}
