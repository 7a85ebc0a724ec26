package cuda

import (
	"regexp"
	"strconv"
	"testing"
)

// Every kernel's parameter is a struct in Go and another in CUDA C.
func TestParametersHaveTheSizeOfTheSource(t *testing.T) {
	entry := regexp.MustCompile(`\.visible \.entry (\w+)\(\s*\.param \.align \d+ \.b8 \w+\[(\d+)\]\s*\)`)
	sizes := map[string]int{}
	for _, m := range modules {
		for _, found := range entry.FindAllSubmatch(m.ptx, -1) {
			n, err := strconv.Atoi(string(found[2]))
			if err != nil {
				t.Fatal(err)
			}
			sizes[m.name+"."+string(found[1])] = n
		}
	}
	for _, k := range declared {
		name := k.module + "." + k.name
		if n, ok := sizes[name]; !ok {
			t.Errorf("kernel %s is not in the PTX; go generate", name)
		} else if int(k.params.Size()) != n {
			t.Errorf("the parameter of %s has %d bytes here, %d in the PTX", name, k.params.Size(), n)
		}
		if k.params.Size() > argsRoom {
			t.Errorf("the parameter of %s has more than %d bytes", name, argsRoom)
		}
		delete(sizes, name)
	}
	for name := range sizes {
		t.Errorf("kernel %s is never used", name)
	}
}
