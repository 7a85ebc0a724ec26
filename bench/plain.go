//go:build !native

package main

// tags are those that vicreg is built with: the ones of this program.
const tags = ""
