package show

import "fmt"

// Count says how many of what there are, whose plural ends in s: "1 step", "2 steps".
func Count(n int, what string) string { return Plural(n, what, what+"s") }

// Plural is Count of what has another plural: "1 copy", "2 copies".
func Plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
