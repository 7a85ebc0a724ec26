package torchfile

import (
	"math"
	"strconv"
)

// tensor is a view of a storage.
type tensor struct {
	store  *storage
	kind   kind
	offset int64 // elements of the storage before the first
	shape  []int64
	stride []int64
	count  int64  // elements
	span   int64  // from the first element to the last, both included
	why    string // it cannot be read, as a sentence says it after the name
	found  bool
}

// maxDims is the limit of PyTorch on dimensions.
const maxDims = 64

// spread is how many elements a tensor may have that its storage has not: in views with
// strides of 0 elements stand several times.
const spread = 1 << 20

// madeTensor returns the tensor that a function of the list makes.
func (m *machine) madeTensor(name string, args tuple) (any, bool) {
	switch name {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return m.view(args, 4, nil), true
	case "torch._utils._rebuild_tensor_v3":
		if len(args) < 7 {
			break
		}
		return m.view(args, 7, args[6]), true
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
		"torch._utils._rebuild_device_tensor_from_cpu_tensor",
		"torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch.autograd.variable.Variable":
		if len(args) > 0 {
			if t, ok := args[0].(*tensor); ok {
				return t, true
			}
		}
	case "torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2":
		if len(args) < 3 {
			break
		}
		g, ok1 := args[0].(*global)
		with, ok2 := args[2].(tuple)
		if ok1 && ok2 && g.name != name {
			v, ok := m.madeTensor(g.name, with)
			if !ok {
				m.refuseCall(g.name)
			}
			return v, true
		}
	case "torch._utils._rebuild_qtensor":
		if len(args) >= 3 {
			return m.unreadable(args[2], "quantized", "is quantized: in Python, make it float with dequantize() and save again"), true
		}
	case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor":
		if len(args) < 2 {
			break
		}
		if data, ok := args[1].(tuple); ok && len(data) > 2 {
			size := data[2]
			if len(data) > 3 { // rows, columns, values and the size; or whether it is in order, at the end
				if _, isBool := data[3].(bool); !isBool {
					size = data[3]
				}
			}
			return m.unreadable(size, "sparse", "is sparse: in Python, fill it with to_dense() and save again"), true
		}
	case "torch._utils._rebuild_meta_tensor_no_storage":
		if len(args) > 1 {
			return m.unreadable(args[1], "meta", "is of the device meta, which keeps shapes and no data: save the weights after they were loaded"), true
		}
	case "torch._utils._rebuild_nested_tensor", "torch._utils._rebuild_device_tensor_from_numpy",
		"torch._utils._rebuild_xla_tensor", "torch._utils._rebuild_wrapper_subclass":
		return m.unreadable(nil, "other", "is of a kind that is not read ("+name+"): in Python, save it as a plain tensor, with .cpu().clone()"), true
	default:
		if kind, ok := tensorClass(name); ok { // filled by what follows
			t := m.unreadable(nil, kind.name, "has no data")
			t.kind = kind
			return t, true
		}
		return nil, false
	}
	m.malformed()
	return nil, true
}

// tensorClass returns the type of the tensors of a class as torch.FloatTensor is.
func tensorClass(name string) (kind, bool) {
	for _, prefix := range []string{"torch.cuda.", "torch."} {
		if len(name) > len(prefix)+len("Tensor") && name[:len(prefix)] == prefix && name[len(name)-len("Tensor"):] == "Tensor" {
			k, ok := kinds[name[len(prefix):len(name)-len("Tensor")]]
			return k, ok
		}
	}
	return kinds["Float"], name == "torch.Tensor"
}

// unreadable makes a tensor that is listed and cannot be read.
func (m *machine) unreadable(size any, kind, why string) *tensor {
	m.spend(200)
	m.f.made++
	t := &tensor{why: why}
	t.kind.name = kind
	if shape, ok := m.whole(size); ok {
		t.shape = shape
	}
	return t
}

// fill gives a tensor that was made without data its storage, as PyTorch's oldest files
// do. All other state of tensors is passed over.
func (m *machine) fill(t *tensor, state any) {
	args, ok := state.(tuple)
	if !ok || len(args) != 4 || t.why == "" {
		return
	}
	if _, ok := args[0].(*storage); !ok {
		return
	}
	if v := m.view(args, 4, nil); v != nil {
		*t = *v
		m.f.made--
	}
}

// whole returns the whole numbers of a tuple or a list.
func (m *machine) whole(v any) ([]int64, bool) {
	items, ok := v.(tuple)
	if l, is := v.(*list); is {
		items, ok = l.items, true
	}
	if !ok || len(items) > maxDims {
		return nil, false
	}
	m.spend(8 * len(items))
	out := make([]int64, len(items))
	for i, x := range items {
		n, ok := x.(int64)
		if !ok || n < 0 || n > math.MaxInt {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// view makes a tensor of a storage, an offset, a shape and strides, which must be within
// the storage, and of a type if the storage has none. Of what follows those, at place
// more, only the marks of a view that is to be changed when it is read matter.
func (m *machine) view(args tuple, more int, dtype any) *tensor {
	if len(args) < 4 {
		m.malformed()
		return nil
	}
	m.spend(160)
	store, ok1 := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := m.whole(args[2])
	stride, ok4 := m.whole(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || offset < 0 {
		m.malformed()
		return nil
	}
	t := &tensor{store: store, kind: store.kind, offset: offset, shape: shape, stride: stride, count: 1}
	if dtype != nil {
		if t.kind, ok1 = kindOf(dtype); !ok1 {
			m.malformed()
			return nil
		}
	}
	m.f.made++
	if !t.measure() {
		m.fail(flawf("is damaged or made up: it has a tensor of shape %s, which does not fit the %d bytes that it takes its numbers from",
			shapeText(shape), store.count*store.kind.size))
		return nil
	}
	for _, a := range args[min(more, len(args)):] {
		if d, ok := a.(*dict); ok && marked(d) {
			t.why = "is kept as the negative or the conjugate of what is stored: in Python, save it again with .resolve_neg().resolve_conj()"
		}
	}
	return t
}

// marked reports whether PyTorch changes the values of a tensor when it reads them.
func marked(d *dict) bool {
	for _, p := range d.pairs {
		if (p.key == "neg" || p.key == "conj") && p.value == true {
			return true
		}
	}
	return false
}

// measure counts the elements and reports whether all are within the storage.
func (t *tensor) measure() bool {
	held := t.store.count
	if t.kind != t.store.kind { // the storage counts in elements of its own
		held = held * t.store.kind.size / t.kind.size
	}
	t.count, t.span = 1, 1
	for i, s := range t.shape {
		if s > 0 && t.count > math.MaxInt64/s {
			return false
		}
		t.count *= s
		if s > 1 && t.stride[i] > (math.MaxInt64-t.span)/(s-1) {
			t.span = math.MaxInt64 // unless a later axis has no elements
		} else if s > 1 {
			t.span += t.stride[i] * (s - 1)
		}
	}
	if t.count == 0 {
		t.span = 0
		return true
	}
	return t.span <= held && t.offset <= held-t.span && t.count <= max(held, spread)
}

// shapeText is a shape as PyTorch says it.
func shapeText(shape []int64) string {
	b := []byte{'['}
	for i, s := range shape {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, s, 10)
	}
	return string(append(b, ']'))
}
