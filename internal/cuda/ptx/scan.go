package ptx

import (
	"fmt"
	"strings"
)

// A token is a word, a number or one sign, and the line it stands on.
type token struct {
	text string
	line int32
}

// SyntaxError is a place in a file that cannot be read.
type SyntaxError struct {
	Line int
	What string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("ptx: line %d: %s", e.Line, e.What) }

// refuse stops the reading of a file; Parse recovers.
func refuse(line int32, format string, args ...any) {
	panic(&SyntaxError{int(line), fmt.Sprintf(format, args...)})
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// scan cuts a file into tokens, without comments.
func scan(src string) []token {
	var tokens []token
	line := int32(1)
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r' || c == 0 && strings.Trim(src[i:], "\x00\n\r\t ") == "":
			i++
		case strings.HasPrefix(src[i:], "//"):
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case strings.HasPrefix(src[i:], "/*"):
			end := strings.Index(src[i+2:], "*/")
			if end < 0 {
				refuse(line, "a comment has no end")
			}
			line += int32(strings.Count(src[i:i+2+end], "\n"))
			i += end + 4
		case c == '"':
			end := strings.IndexByte(src[i+1:], '"')
			if end < 0 {
				refuse(line, "a string has no end")
			}
			tokens = append(tokens, token{src[i : i+end+2], line})
			line += int32(strings.Count(src[i:i+end+2], "\n"))
			i += end + 2
		case wordByte(c):
			from := i
			for i < len(src) && (wordByte(src[i]) || src[i] == ':' && i+2 < len(src) && src[i+1] == ':' && wordByte(src[i+2]) ||
				src[i] == ':' && i > from && src[i-1] == ':' && i+1 < len(src) && wordByte(src[i+1])) {
				i++
			}
			tokens = append(tokens, token{src[from:i], line})
		case strings.IndexByte("{}()[]<>,;:=+-!@|&~*", c) >= 0:
			tokens = append(tokens, token{src[i : i+1], line})
			i++
		default:
			refuse(line, "unknown sign %q", c)
		}
	}
	return tokens
}
