package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vicreg/internal/recipe"
)

func newRecipes() *cobra.Command {
	return &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the built-in recipes, or print one as YAML",
		Long: `Lists the built-in recipes. With a name, prints that recipe as a whole
configuration: save it, change it, and give it to pretrain --config.`,
		Example: `  vicreg recipes
  vicreg recipes cifar > mine.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("vicreg recipes takes one name at most, got %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listRecipes()
			}
			c, err := recipe.Load(args[0])
			if err != nil {
				return usageError{err}
			}
			text, err := c.YAML()
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(text)
			return err
		},
	}
}

func listRecipes() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, name := range recipe.Names() {
		c, err := recipe.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\n", name, c.Description)
	}
	return w.Flush()
}
