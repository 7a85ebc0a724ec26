package settings

import (
	"errors"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// What is wanted where a number cannot be read.
const (
	whole  = "a whole number"
	number = "a number"
)

var (
	decimal    = regexp.MustCompile(`^[-+]?([0-9]+(_[0-9]+)*)$`)
	based      = regexp.MustCompile(`^[-+]?0([xX][0-9a-fA-F]+(_[0-9a-fA-F]+)*|o[0-7]+|b[01]+)$`)
	fractional = regexp.MustCompile(`^[-+]?([0-9]+(_[0-9]+)*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,6})?$`)
	leading    = regexp.MustCompile(`^[-+]?0[0-9_]`)
	comma      = regexp.MustCompile(`^[-+]?[0-9]+(,[0-9]+)+$`)
)

// parseWhole reads a whole number of any size; the error says what it must be.
func parseWhole(s string) (*big.Int, error) {
	n, ok := new(big.Int), false
	plain := strings.ReplaceAll(s, "_", "")
	switch {
	case len(s) > 400:
		return beyond(s), nil
	case decimal.MatchString(s):
		if leading.MatchString(s) {
			return nil, errors.New(whole + " written without a leading 0, which some take for octal")
		}
		n, ok = n.SetString(plain, 10)
	case based.MatchString(s):
		n, ok = n.SetString(plain, 0)
	case fractional.MatchString(s):
		f, _, err := big.ParseFloat(plain, 10, 256, big.ToNearestEven)
		if err != nil || f.IsInf() || f.MantExp(nil) > 256 {
			return beyond(s), nil
		}
		if !f.IsInt() {
			return nil, errors.New(whole)
		}
		n, _ = f.Int(n)
		ok = true
	}
	if !ok {
		return nil, errors.New(whole + hint(s))
	}
	return n, nil
}

// beyond returns a number that is out of every range, of the sign of s.
func beyond(s string) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), 2048)
	if strings.HasPrefix(s, "-") {
		n.Neg(n)
	}
	return n
}

// hint says how to write a number that people write otherwise.
func hint(s string) string {
	switch {
	case comma.MatchString(s):
		return " written with a point, not a comma"
	case strings.HasSuffix(s, "%"):
		return " without a per cent sign"
	}
	return ""
}

// ParseInt reads a whole number. Its error says what the value must be, as in
// "a whole number".
func ParseInt(s string) (int, error) {
	n, err := parseWhole(s)
	if err != nil {
		return 0, err
	}
	if !n.IsInt64() || int64(int(n.Int64())) != n.Int64() {
		return 0, errors.New(whole + " between " + strconv.Itoa(math.MinInt) + " and " + strconv.Itoa(math.MaxInt))
	}
	return int(n.Int64()), nil
}

// ParseUint is ParseInt for numbers of at least 0.
func ParseUint(s string) (uint64, error) {
	n, err := parseWhole(s)
	if err != nil {
		return 0, err
	}
	switch {
	case n.Sign() < 0:
		return 0, errors.New(whole + " of at least 0")
	case !n.IsUint64():
		return 0, errors.New(whole + " of at most " + strconv.FormatUint(math.MaxUint64, 10))
	}
	return n.Uint64(), nil
}

// ParseFloat reads a finite number; its error is as ParseInt's.
func ParseFloat(s string) (float64, error) {
	switch strings.ToLower(strings.TrimLeft(s, "+-.")) {
	case "inf", "infinity", "nan":
		return 0, errors.New("a finite number")
	}
	var v float64
	if fractional.MatchString(s) && !(decimal.MatchString(s) && leading.MatchString(s)) {
		v, _ = strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	} else {
		n, err := parseWhole(s)
		if err != nil {
			return 0, errors.New(strings.Replace(err.Error(), whole, number, 1))
		}
		v, _ = new(big.Float).SetInt(n).Float64()
	}
	if math.IsInf(v, 0) {
		return 0, errors.New(number + " of at most 1.8e308")
	}
	return v, nil
}
