package device

// Failure is what a device panics with when it fails or has no memory left.
type Failure struct{ Err error }

func (f Failure) Error() string { return f.Err.Error() }
func (f Failure) Unwrap() error { return f.Err }

// Catch, deferred, turns the panic of a device that failed into the error of the
// function that returns. Other panics go on.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case Failure:
		*err = r
	default:
		panic(r)
	}
}
