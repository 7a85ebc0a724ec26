package vicreg

import (
	"context"

	"vicreg/internal/export"
)

// ExportOptions say what [Model.Export] writes.
type ExportOptions struct {
	// Format is onnx, timm, safetensors or torch. ONNX is a graph from raw input, such as
	// pixels from 0 to 1, to features; timm is a folder; the others are arrays under the
	// names of torchvision and timm.
	Format string

	// Expander takes the expander along: in ONNX as a second output, embedding.
	Expander bool

	// Progress is told how far the comparison is; may be nil.
	Progress func(done, total int)
}

// Exported says what an export wrote, and how it compares with the model.
type Exported struct {
	Path       string         `json:"path"`               // of the file, or of timm's folder
	Format     string         `json:"format"`             // as ExportOptions.Format
	Files      []string       `json:"files"`              // all that were written
	Bytes      int64          `json:"bytes"`              // of all files
	Input      string         `json:"input"`              // the name of a graph's input
	Reads      string         `json:"reads"`              // what it is
	InputShape []int          `json:"input_shape"`        // of one item: c × h × w of an image, c × t of a sequence
	Outputs    []ExportOutput `json:"outputs"`            // features, and embedding or logits
	Items      int            `json:"compared_items"`     // made up
	Values     int            `json:"compared_values"`    // of all outputs
	Difference float64        `json:"largest_difference"` // of a value from the model's, as a share of the largest
	Notes      []string       `json:"notes,omitempty"`    // what a user should know, a sentence each
}

// ExportOutput is what an exported network gives for one item.
type ExportOutput struct {
	Name  string `json:"name"`  // features, embedding or logits
	Width int    `json:"width"` // values
}

// Export writes the encoder as other programs read it, to a file or, for timm, into a
// folder that it makes if need be. What was written is read back and compared with the
// model on a made-up batch before it is put in place: a difference above 1e-4 of the
// largest value is an error. The classifier of a fine-tuned model goes along.
func (m *Model) Export(ctx context.Context, path string, o ExportOptions) (*Exported, error) {
	r, err := export.Write(ctx, m.file, path, export.Options(o))
	if err != nil {
		return nil, err
	}
	out := outer[Exported](*r)
	return &out, nil
}
