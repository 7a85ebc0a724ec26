package recipe

// View is the distribution of one view of an image; the steps are applied in
// the order of the fields.
type View struct {
}
