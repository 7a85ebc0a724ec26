package shard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/show"
)

// mostShards bounds what a pattern may stand for.
const mostShards = 1 << 20

// Pattern reports whether spec has the form of several files: braces, stars or a list.
func Pattern(spec string) bool {
	return strings.Contains(spec, listed) || strings.ContainsAny(spec, "*?[{")
}

// listed stands between the patterns of a list.
const listed = "::"

// Names returns the files that a pattern stands for, each once, in order. {0000..1023} is
// each number, with as many digits; {a..f} each letter; {0..9..3} every third; {a,b} each
// of several texts; *, ? and [abc] are what of such names there is; and :: stands between
// patterns.
func Names(pattern string) ([]string, error) {
	var names []string
	for one := range strings.SplitSeq(pattern, listed) {
		if one == "" {
			return nil, fmt.Errorf("%s: nothing stands before or after a :: mark", show.Name(pattern))
		}
		plain, err := expand(one, mostShards-len(names))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", show.Name(one), err)
		}
		for _, name := range plain {
			if !strings.ContainsAny(name, "*?[") {
				names = append(names, name)
				continue
			}
			if _, err := os.Lstat(name); err == nil {
				names = append(names, name)
				continue
			}
			found, err := filepath.Glob(name)
			if err != nil {
				return nil, fmt.Errorf("%s: the brackets of this pattern do not fit; [abc] stands for one of these letters", show.Name(name))
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("%s: no file has such a name", show.Name(name))
			}
			names = append(names, found...)
		}
	}
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	}), nil
}

// errMany is the error of a pattern that stands for too many files.
var errMany = fmt.Errorf("this pattern stands for more than %d files", mostShards)

// expand writes out the braces of a pattern, of at most so many names. Braces that hold
// neither a range nor a comma are letters like others.
func expand(pattern string, most int) ([]string, error) {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		if most < 1 {
			return nil, errMany
		}
		return []string{pattern}, nil
	}
	depth, end := 0, -1
	cuts := []int{open}
	for i := open; i < len(pattern) && end < 0; i++ {
		switch pattern[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				end = i
			}
		case ',':
			if depth == 1 {
				cuts = append(cuts, i)
			}
		}
	}
	if end < 0 {
		return nil, errors.New("a { of this pattern is not closed")
	}
	var middle []string
	if cuts = append(cuts, end); len(cuts) > 2 {
		for i := range len(cuts) - 1 {
			part, err := expand(pattern[cuts[i]+1:cuts[i+1]], most-len(middle))
			if err != nil {
				return nil, err
			}
			middle = append(middle, part...)
		}
	} else {
		inside, ok, err := span(pattern[open+1:end], most)
		if err != nil {
			return nil, err
		}
		if !ok {
			if inside, err = expand(pattern[open+1:end], most); err != nil {
				return nil, err
			}
			for i := range inside {
				inside[i] = "{" + inside[i] + "}"
			}
		}
		middle = inside
	}
	rest, err := expand(pattern[end+1:], most)
	if err != nil {
		return nil, err
	}
	if len(middle)*len(rest) > most {
		return nil, errMany
	}
	all := make([]string, 0, len(middle)*len(rest))
	for _, m := range middle {
		for _, r := range rest {
			all = append(all, pattern[:open]+m+r)
		}
	}
	return all, nil
}

// span writes out a range: from..to or from..to..step, of numbers or of letters. ok is
// false if text is none.
func span(text string, most int) (all []string, ok bool, err error) {
	parts := strings.Split(text, "..")
	if len(parts) != 2 && len(parts) != 3 {
		return nil, false, nil
	}
	number := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil && max(n, -n) < 1<<40
	}
	step := int64(1)
	if len(parts) == 3 {
		if step, ok = number(parts[2]); !ok {
			return nil, false, nil
		}
		step = max(1, step, -step)
	}
	letters := len(parts[0]) == 1 && len(parts[1]) == 1 && letter(parts[0][0]) && letter(parts[1][0])
	var from, to int64
	if letters {
		from, to = int64(parts[0][0]), int64(parts[1][0])
	} else {
		var ok2 bool
		from, ok = number(parts[0])
		if to, ok2 = number(parts[1]); !ok || !ok2 {
			return nil, false, nil
		}
	}
	n := max(to-from, from-to)/step + 1
	if n > int64(most) {
		return nil, false, errMany
	}
	if to < from {
		step = -step
	}
	width := 0
	for _, p := range parts[:2] {
		if digits := strings.TrimPrefix(p, "-"); len(digits) > 1 && digits[0] == '0' {
			width = max(len(parts[0]), len(parts[1]))
		}
	}
	for i := range n {
		if v := from + i*step; letters {
			all = append(all, string(rune(v)))
		} else {
			all = append(all, fmt.Sprintf("%0*d", width, v))
		}
	}
	return all, true, nil
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
