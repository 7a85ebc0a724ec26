package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"vicreg/internal/host"
)

// versionLine says what this program is and what it was built with.
func versionLine() string {
	return fmt.Sprintf("vicreg %s, %s, %s/%s\n", host.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(stdout, versionLine())
			return err
		},
	}
}
