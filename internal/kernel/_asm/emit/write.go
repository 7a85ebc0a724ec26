package emit

import (
	"flag"
	"os"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
)

// Write writes what c holds to where the flags of the command say, and ends
// the program. The passes come once registers have been given out.
func Write(c *build.Context, passes ...pass.Interface) {
	set := flag.NewFlagSet("", flag.ExitOnError)
	flags := build.NewFlags(set)
	set.Parse(os.Args[1:])
	config := flags.Config()
	config.Passes = append(append([]pass.Interface{config.Passes[0]}, passes...), config.Passes[1:]...)
	os.Exit(build.Main(config, c))
}
