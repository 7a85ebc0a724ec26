package torchfile

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// plain are the classes and functions outside PyTorch that are read for what they hold,
// as dicts, lists or numbers. The rest of the list is in [machine.call].
const (
	orderedDict = "collections.OrderedDict"
	namespace   = "argparse.Namespace"
)

// passed are what objects may be made of that are passed over, since checkpoints hold
// them beside the tensors: classes, or all that a package has if the name ends in a dot.
var passed = []string{
	"builtins.object", "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "builtins.bytes",
	"builtins.complex", "builtins.slice", "builtins.range", "collections.deque", "types.SimpleNamespace",
	"functools.partial", "operator.getitem", "_operator.getitem", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "logging.Logger", "logging.getLogger",
	"argparse.", "datetime.", "enum.", "pathlib.", "typing.",
	"numpy.dtype", "numpy.ndarray", "numpy.dtypes.", "numpy.core.multiarray.", "numpy._core.multiarray.",
	"numpy.random.", "pandas.",
	"torch.device", "torch.Generator", "torch.serialization._get_layout", "torch.optim.", "torch.cuda.amp.", "torch.amp.",
	"torch.distributions.", "torchmetrics.", "torchvision.transforms.",
	"omegaconf.", "hydra.", "yacs.config.", "addict.", "easydict.", "munch.", "ml_collections.", "fvcore.", "iopath.",
	"mmcv.utils.", "mmengine.", "vissl.", "classy_vision.", "detectron2.config.",
	"pytorch_lightning.", "lightning.", "lightning_fabric.", "lightning_utilities.", "lightly.", "solo.",
	"timm.utils.", "timm.scheduler.", "timm.optim.", "apex.", "wandb.",
}

// isPassed reports whether objects of a class are passed over. A name with a dot of its
// own would reach through a package to what it imports.
func isPassed(module, name string) bool {
	if strings.Contains(name, ".") {
		return false
	}
	full := module + "." + name
	for _, p := range passed {
		if full == p || strings.HasSuffix(p, ".") && strings.HasPrefix(full, p) {
			return true
		}
	}
	return false
}

// unsafeModules are what no file of weights names, even without calling it.
var unsafeModules = []string{
	"posix", "nt", "os", "sys", "subprocess", "_posixsubprocess", "commands", "pty", "shutil", "socket", "ctypes", "_ctypes",
	"importlib", "runpy", "code", "codeop", "pdb", "bdb", "timeit", "cProfile", "profile", "pickle", "_pickle", "cPickle",
	"dill", "cloudpickle", "marshal", "multiprocessing", "webbrowser", "platform", "signal", "imp", "pip", "asyncio",
	"operator", "_operator", "tempfile", "urllib", "http", "requests", "ftplib", "smtplib", "threading", "atexit",
}

// unsafeBuiltins are what no file of weights names of Python's own functions.
var unsafeBuiltins = []string{"eval", "exec", "execfile", "compile", "open", "__import__", "setattr", "delattr",
	"globals", "locals", "vars", "apply", "input", "breakpoint", "file", "reload", "exit", "quit", "memoryview"}

// global pushes the class or function of a name, which is a name here and nothing else.
func (m *machine) global(module, name string) {
	switch module { // as Python 2 called them
	case "__builtin__":
		module = "builtins"
	case "copy_reg":
		module = "copyreg"
	}
	if m.err != nil || m.in.err != nil {
		return
	}
	if len(module)+len(name) > 200 {
		m.malformed()
		return
	}
	full := module + "." + name
	outer, _, _ := strings.Cut(module, ".")
	harmless := isPassed(module, name)
	if !harmless && slices.Contains(unsafeModules, outer) ||
		module == "builtins" && slices.Contains(unsafeBuiltins, name) {
		m.refuseRun(full)
		return
	}
	m.spend(48 + len(full))
	if k, ok := kinds[strings.TrimSuffix(name, "Storage")]; ok && strings.HasSuffix(name, "Storage") && torchModule(module) {
		m.push(k)
		return
	}
	m.push(&global{name: full, class: harmless})
}

// torchModule reports whether classes of storages are there.
func torchModule(module string) bool {
	return module == "torch" || module == "torch.storage" || module == "torch.cuda"
}

// call pushes what PyTorch would make by calling something of the list.
func (m *machine) call(what, with any) {
	args, ok := with.(tuple)
	g, named := what.(*global)
	if m.err != nil || !ok || !named {
		m.malformed()
		return
	}
	m.push(m.made(g, args))
}

func (m *machine) made(g *global, args tuple) any {
	switch g.name {
	case orderedDict, "collections.defaultdict", "collections.Counter", "builtins.dict":
		return m.newDict(args)
	case "builtins.set", "builtins.frozenset", "builtins.list", "builtins.tuple":
		return m.newList(args)
	case "builtins.bytearray", "_codecs.encode":
		return encoded(args)
	case "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar":
		return m.numpyScalar(args)
	case "copyreg._reconstructor": // the class, its base and the base's value
		if len(args) != 3 {
			break
		}
		if class, ok := args[0].(*global); ok {
			return m.made(class, nil)
		}
	case "builtins.getattr": // a class or a method inside a class
		if len(args) != 2 {
			break
		}
		class, ok1 := args[0].(*global)
		name, ok2 := args[1].(string)
		if !ok1 || !ok2 || !class.class {
			m.refuseRun(g.name)
			return nil
		}
		m.spend(48 + len(class.name) + len(name))
		return &global{name: class.name + "." + name, class: true}
	case "torch.Size":
		if len(args) == 1 {
			return args[0]
		}
	default:
		if v, ok := m.madeTensor(g.name, args); ok {
			return v
		}
		if g.class || g.name == namespace {
			m.spend(64)
			name := g.name
			if class := first(args); strings.HasSuffix(name, "._reconstruct") && class != nil {
				name = class.name
			}
			m.f.objects[name]++
			m.limitNames(len(m.f.objects))
			return &object{class: g.name, args: args}
		}
		if strings.HasPrefix(g.name, "torch.nn.") || strings.HasPrefix(g.name, "torchvision.models.") ||
			strings.HasPrefix(g.name, "timm.models.") || strings.HasPrefix(g.name, "torch.jit.") {
			m.wholeModel(g.name)
			return nil
		}
		m.refuseCall(g.name)
		return nil
	}
	m.malformed()
	return nil
}

// first returns the first argument if it is the name of a class, as those of NumPy's
// arrays is.
func first(args tuple) *global {
	if len(args) == 0 {
		return nil
	}
	g, _ := args[0].(*global)
	return g
}

func (m *machine) refuseRun(name string) {
	m.fail(flawf("is refused: it would have PyTorch run %s, which can do anything to your machine and is in no file of weights; nothing of it was run", brief(name)))
}

func (m *machine) refuseCall(name string) {
	m.fail(flawf("is refused: it would have PyTorch call %s, which is not among the harmless names that weights need; nothing of it was run; in Python, save the weights alone with %s", brief(name), stateDict))
}

func (m *machine) wholeModel(class string) {
	m.fail(flawf("holds a whole model as Python code knows it (%s), not its weights alone: in Python, save those with %s", brief(class), stateDict))
}

// limitNames fails when there are more different names than any checkpoint has.
func (m *machine) limitNames(n int) {
	if n > 1000 {
		m.fail(flaw("is refused: it names more than 1000 different classes, as no weights do"))
	}
}

// newDict makes a dict, of a list of pairs if there is one.
func (m *machine) newDict(args tuple) any {
	m.spend(32)
	d := &dict{}
	for _, a := range args {
		switch a := a.(type) {
		case *dict:
			return a
		case *list:
			for _, item := range a.items {
				v, _ := item.(tuple)
				if l, ok := item.(*list); ok {
					v = l.items
				}
				if len(v) != 2 {
					m.malformed()
					return nil
				}
				m.set(d, v)
			}
		}
	}
	return d
}

func (m *machine) newList(args tuple) any {
	m.spend(32)
	if len(args) == 1 {
		switch a := args[0].(type) {
		case *list:
			return a
		case tuple:
			return &list{items: a}
		}
	}
	return &list{}
}

// encoded makes bytes of a text: pickles of protocol 2 have no bytes of their own.
func encoded(args tuple) any {
	if len(args) == 0 {
		return raw("")
	}
	s, ok := args[0].(string)
	if !ok || len(args) < 2 || args[1] != "latin1" {
		return long{}
	}
	b := make([]byte, 0, utf8.RuneCountInString(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return raw(b)
}

// numpyScalar makes a number of NumPy's type and bytes.
func (m *machine) numpyScalar(args tuple) any {
	if len(args) != 2 {
		return nil
	}
	o, ok1 := args[0].(*object)
	b, ok2 := args[1].(raw)
	if !ok1 || !ok2 || len(o.args) == 0 {
		return nil
	}
	m.spend(8)
	switch name := o.args[0]; {
	case name == "f8" && len(b) == 8:
		return math.Float64frombits(le.Uint64([]byte(b)))
	case name == "f4" && len(b) == 4:
		return float64(math.Float32frombits(le.Uint32([]byte(b))))
	case name == "i8" && len(b) == 8:
		return int64(le.Uint64([]byte(b)))
	case name == "i4" && len(b) == 4:
		return int64(int32(le.Uint32([]byte(b))))
	case name == "b1" && len(b) == 1:
		return b[0] != 0
	}
	return nil
}

// build gives an object its state. What is not named here is passed over.
func (m *machine) build(v, state any) {
	switch v := v.(type) {
	case *tensor:
		m.fill(v, state)
	case *object:
		if d, ok := state.(*dict); ok && (v.class == namespace || v.class == "types.SimpleNamespace") {
			v.fields = d
		}
	case *dict, *list, nil:
	default:
		m.malformed()
	}
}
