package train

import (
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
)

// Check returns the first mistake in a configuration, as far as it can be seen
// without the data.
func Check(c recipe.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.Filled()
	if err := method.Check(c, method.Data{}); err != nil {
		return err
	}
	if err := model.CheckStages(method.EncoderConfig(c, 0), c.Tune.Stages()); err != nil {
		return err
	}
	_, err := reckon.Run(c, reckon.Data{}) // finds networks that cannot be built
	return err
}
