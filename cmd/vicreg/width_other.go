//go:build !unix

package main

// followWidth does nothing: the next drawing asks for the terminal's size.
func followWidth(*printer) {}
