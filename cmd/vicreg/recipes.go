package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/recipe"
)

func newRecipes() *cobra.Command {
	var method string
	cmd := &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the built-in recipes and methods, or print a recipe as YAML",
		Long: `Lists the built-in recipes and the methods. With a name, prints that recipe as a
whole configuration: save it, change it, and give it to pretrain --config. With
--method it is that method's form of the recipe.`,
		Example: `  vicreg recipes
  vicreg recipes cifar > mine.yaml
  vicreg recipes cifar --method byol`,
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
			c, err := recipe.LoadFor(args[0], method)
			if err != nil {
				return usageError{err}
			}
			text, err := c.YAML()
			if err != nil {
				return err
			}
			stdout.verbatim()
			_, err = stdout.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&method, "method", "", "`system` to print the recipe for: "+strings.Join(vicreg.Methods(), ", "))
	return cmd
}

func listRecipes() error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, name := range recipe.Names() {
		c, err := recipe.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\n", name, c.Description)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "\nMethods; pretrain --method lays the heads, views and optimizer of one over the recipe:")
	for _, name := range recipe.Methods() {
		m, err := recipe.MachineryOf(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\n", name, m.Title)
	}
	m, err := recipe.MachineryOf(recipe.Supervised)
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\t%s; it learns from labels, and is none of the methods above\n", recipe.Supervised, m.Title)
	return w.Flush()
}
