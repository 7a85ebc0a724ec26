package eval

import (
	"cmp"
	"slices"
)

// ranked returns the relevance of items by falling score; of equal scores the earlier item
// comes first. tie holds the items whose score is the next one's as well.
func ranked(scores []float64, relevant []bool) (hits, tie []bool) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	hits, tie = make([]bool, len(order)), make([]bool, len(order))
	for i, at := range order {
		hits[i] = relevant[at]
		tie[i] = i+1 < len(order) && scores[order[i+1]] == scores[at]
	}
	return hits, tie
}

// averagePrecision is the mean precision at each relevant item, items of equal score
// together, as scikit-learn's average_precision_score; 0 if nothing is relevant.
func averagePrecision(scores []float64, relevant []bool) float64 {
	hits, tie := ranked(scores, relevant)
	found, before, sum := 0, 0, 0.0
	for i, hit := range hits {
		if hit {
			found++
		}
		if !tie[i] {
			sum += float64(found-before) * float64(found) / float64(i+1)
			before = found
		}
	}
	return sum / float64(max(1, found))
}

// interpolated returns two areas under the curve of precision over recall, where the
// precision of a recall is the best at that recall or a higher one: the whole area, as VISSL
// (svm_utils/evaluate.py) and VOC since 2010 have it, and the mean at the recalls 0, 0.1 …
// 1, which VOC 2007 itself prescribes (Everingham et al., "The PASCAL visual object classes
// (VOC) challenge", 2010, section 4.2).
func interpolated(scores []float64, relevant []bool) (area, eleven float64) {
	hits, _ := ranked(scores, relevant)
	total := 0
	for _, hit := range hits {
		if hit {
			total++
		}
	}
	if total == 0 {
		return 0, 0
	}
	// From the end, where the recall is 1.
	best, found := 0.0, total
	point := 10 // of the eleven
	for i := len(hits) - 1; i >= 0; i-- {
		for ; point*total > 10*found; point-- {
			eleven += best
		}
		best = max(best, float64(found)/float64(i+1))
		if hits[i] {
			area += best
			found--
		}
	}
	for ; point >= 0; point-- {
		eleven += best
	}
	return area / float64(total), eleven / 11
}
