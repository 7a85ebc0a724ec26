package vicreg

import (
	"fmt"
	"reflect"

	"vicreg/internal/recipe"
)

// The public types mirror internal ones field by field, under the same names. A test holds
// each pair to be whole both ways.

// inner returns c as the packages below know it.
func (c *Config) inner() recipe.Config { return inward[recipe.Config](*c) }

// configOf returns a configuration of the packages below, unless it comes with an error.
func configOf(c recipe.Config, err error) (Config, error) {
	if err != nil {
		return Config{}, err
	}
	return outer[Config](c), nil
}

// outer returns the public form of an internal value; inward goes the other way. Nothing
// is shared with x.
func outer[T any](x any) T  { return mirrored[T](x) }
func inward[T any](x any) T { return mirrored[T](x) }

func mirrored[T any](x any) (y T) {
	mirror(reflect.ValueOf(&y).Elem(), reflect.ValueOf(x))
	return y
}

// event is the field that says what a line of metrics.jsonl is; the type says it here.
const event = "Event"

// mirror copies src to dst field by field. A field that is missing there is a mistake in
// the code.
func mirror(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Struct:
		if src.Type() == dst.Type() {
			dst.Set(src)
			return
		}
		for i := range src.NumField() {
			f := src.Type().Field(i)
			switch to := dst.FieldByName(f.Name); {
			case f.Anonymous: // its fields stand among the others there
				mirror(dst, src.Field(i))
			case f.Name == event: // of a line of a file
			case !to.IsValid():
				panic(fmt.Sprintf("vicreg: %s has no field %s of %s", dst.Type(), f.Name, src.Type()))
			default:
				mirror(to, src.Field(i))
			}
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(dst.Type().Elem()))
			mirror(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				mirror(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Array:
		for i := range src.Len() {
			mirror(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(dst.Type(), src.Len()))
			for at := src.MapRange(); at.Next(); {
				dst.SetMapIndex(at.Key(), at.Value())
			}
		}
	default:
		dst.Set(src.Convert(dst.Type()))
	}
}
