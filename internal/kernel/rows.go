package kernel

// adamArgs are the constants of an AdamW step.
type adamArgs struct {
	beta1, rest1, beta2, rest2 float32 // rest = 1 − beta
	keep, rate, rootScale, eps float32
}
