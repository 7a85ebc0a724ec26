package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"vicreg/internal/host"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(stdout, "vicreg %s, %s, %s/%s\n", host.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
