package ptx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const head = ".version 7.5\n.target sm_80\n.address_size 64\n"

func TestParseRefuses(t *testing.T) {
	kernel := func(body string) string {
		return head + ".visible .entry k(.param .u64 a) {\n.reg .b32 %r<4>; .reg .pred %p; .reg .b64 %d;\n" + body + "\n}"
	}
	for _, c := range []struct{ src, want string }{
		{kernel("frob.s32 %r1, %r2;"), "line 6: frob.s32: unknown instruction"},
		{kernel("\n\nadd.s32 %r1, %r2, %r4;"), "line 8: add.s32: unknown register %r4"},
		{kernel("add.s32 %r1, %r2;"), "2 operands, want 3"},
		{kernel("add.s32 %r1, %r2, %p;"), "%p is a predicate"},
		{kernel("bra nowhere;"), "there is no label nowhere"},
		{kernel("@%r1 bra l; l:"), `"%r1" is no predicate`},
		{kernel("l: l: ret;"), "the label l stands twice"},
		{kernel("ld.global.u32 %r1, %d;"), "no address in brackets"},
		{kernel("ld.global %r1, [%d];"), "no type"},
		{kernel("ld.global.v2.u32 {%r1}, [%d];"), "1 registers, want 2"},
		{kernel("st.param.u32 [a], %r1;"), "memory that cannot be written"},
		{kernel("call f, ();"), "there is no function f"},
		{kernel("mov.u32 %r1, %nothing;"), "unknown register %nothing"},
		{kernel("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1}, {%r1}, {%r1}, {%r1};"), "unknown instruction"},
		{kernel("ret"), `"}" stands where`},
		{kernel("ret;") + "\n#", "line 8: unknown sign '#'"},
		{head + ".entry k() { ret;", "the file ends too early"},
		{head + ".global .u32 x[2] = {1, 2, 3};", "x has more values than room"},
		{head + ".func f() { call f, (); ret; } .entry k() { call f, (); ret; }", "calls itself"},
		{head + "/* no end", "a comment has no end"},
		{kernel(".shared .b8 s[300000]; mov.u64 %d, s;"), "a block can have"},
	} {
		_, err := Parse([]byte(c.src), 1<<40)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.src, err, c.want)
		}
	}
}

func TestGlobals(t *testing.T) {
	m, err := Parse([]byte(head+".global .align 4 .u32 a[3] = {1, -1};\n.const .f32 b = 0f3F800000;\n.global .u64 c[1] = {a+4};"), 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Global("a"); len(a) != 12 || a[0] != 1 || a[4] != 255 || a[8] != 0 {
		t.Errorf("a: got %v", a)
	}
	if b := m.Global("b"); len(b) != 4 || b[3] != 0x3f {
		t.Errorf("b: got %v", b)
	}
	if c := m.Global("c"); load(c, 8) != m.scope.vars["a"].addr+4 {
		t.Errorf("c: got %v", c)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.ptx")
	if err != nil || len(files) == 0 {
		f.Fatal("no files")
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		// Kernels one by one are quicker to take apart.
		for _, part := range strings.SplitAfter(string(src), "\n}\n") {
			f.Add([]byte(head + part))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<16 {
			return
		}
		m, err := Parse(src, 1<<40)
		if err == nil && m == nil {
			t.Error("neither a module nor an error")
		}
		if err != nil {
			return
		}
		for _, k := range m.Kernels { // whatever a kernel does, it ends, or is told what is wrong
			l := &Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{40, 1, 1}, Args: make([]byte, k.Params), Races: true,
				Limit: 4000}
			if err := k.Launch(l); err != nil && !errors.As(err, new(*Fault)) {
				t.Error(err)
			}
		}
	})
}
