package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// document is openapi.json as far as tests read it.
type document struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas       map[string]schema      `json:"schemas"`
		Responses     map[string]response    `json:"responses"`
		RequestBodies map[string]requestBody `json:"requestBodies"`
	} `json:"components"`
}

type operation struct {
	OperationID string                `json:"operationId"`
	Security    []map[string][]string `json:"security"`
	Parameters  []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	RequestBody *requestBody        `json:"requestBody"`
	Responses   map[string]response `json:"responses"`
}

type requestBody struct {
	Ref     string               `json:"$ref"`
	Content map[string]mediaType `json:"content"`
}

type response struct {
	Ref     string               `json:"$ref"`
	Content map[string]mediaType `json:"content"`
}

type mediaType struct {
	Schema schema `json:"schema"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Const      any               `json:"const"`
}

// holds checks a value against a schema: types, and that properties are all there and no
// others.
func (d *document) holds(t *testing.T, where string, s schema, v any) {
	t.Helper()
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if s, ok = d.Components.Schemas[name]; !ok {
			t.Fatalf("there is no schema %s", name)
		}
	}
	is := ""
	switch v := v.(type) {
	case string:
		is = "string"
	case float64:
		if is = "number"; s.Type == "integer" && v == float64(int(v)) {
			is = "integer"
		}
	case []any:
		is = "array"
		for i, x := range v {
			d.holds(t, fmt.Sprintf("%s[%d]", where, i), *s.Items, x)
		}
	case map[string]any:
		is = "object"
		for key, x := range v {
			p, ok := s.Properties[key]
			if !ok {
				t.Errorf("%s.%s is not in the schema", where, key)
				continue
			}
			d.holds(t, where+"."+key, p, x)
		}
		for _, key := range s.Required {
			if _, ok := v[key]; !ok {
				t.Errorf("%s has no %s", where, key)
			}
		}
	}
	if is != s.Type || s.Const != nil && s.Const != v {
		t.Errorf("%s is %v, and the schema says %s %v", where, v, s.Type, s.Const)
	}
}

// The document tells of every path, and what it says comes is what comes.
func TestOpenAPI(t *testing.T) {
	s := started(t, 20, Options{Token: "correct horse"})
	w := ask(s, "GET", "/openapi.json", "", nil)
	var d document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("version %s", d.OpenAPI)
	}
	var ours []string
	for _, r := range s.all() {
		path := strings.TrimSuffix(r.path, "{$}")
		ours = append(ours, path)
		op, ok := d.Paths[path][strings.ToLower(r.method)]
		if !ok || len(d.Paths[path]) != 1 || op.OperationID == "" {
			t.Errorf("%s %s is not told", r.method, path)
			continue
		}
		if free := len(op.Security) == 1 && len(op.Security[0]) == 0; free != r.open {
			t.Errorf("%s: it needs no token: %v, the document says %v", path, r.open, free)
		}
	}
	if theirs := slices.Sorted(maps.Keys(d.Paths)); !slices.Equal(theirs, slices.Sorted(slices.Values(ours))) {
		t.Errorf("paths %v, want %v", theirs, ours)
	}

	kind, body := form(picture(1, 20, 18), picture(2, 20, 18))
	vector, _ := json.Marshal(map[string]any{"vector": features(t, s.model, picture(3, 20, 18)), "k": 2, "probe": 0})
	for _, c := range []struct{ method, path, target, kind, body string }{
		{"get", "/healthz", "/healthz", "", ""},
		{"get", "/", "/", "", ""},
		{"get", "/metrics", "/metrics", "", ""},
		{"get", "/metrics", "/metrics#no-token", "", ""},
		{"post", "/v1/embed", "/v1/embed", kind, string(body)},
		{"post", "/v1/embed", "/v1/embed", "image/png", string(picture(1, 9, 9))},
		{"post", "/v1/embed", "/v1/embed", "application/octet-stream", "none"},
		{"post", "/v1/search", "/v1/search?k=3&probe=0", kind, string(body)},
		{"post", "/v1/search", "/v1/search", "application/json", string(vector)},
		{"post", "/v1/search", "/v1/search?k=0", "application/json", string(vector)},
		{"get", "/v1/items/{item}/thumbnail", "/v1/items/2/thumbnail", "", ""},
	} {
		op := d.Paths[c.path][c.method]
		token := "Bearer correct horse"
		if strings.HasSuffix(c.target, "#no-token") {
			token = ""
		}
		w := ask(s, strings.ToUpper(c.method), strings.TrimSuffix(c.target, "#no-token"), c.kind, []byte(c.body), "Authorization", token)
		resp, ok := op.Responses[fmt.Sprint(w.Code)]
		if !ok {
			resp, ok = op.Responses["default"]
		}
		if name, ref := strings.CutPrefix(resp.Ref, "#/components/responses/"); ref {
			resp, ok = d.Components.Responses[name]
		}
		got, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
		m, known := resp.Content[got]
		if !ok || !known {
			t.Errorf("%s: an answer of %d and type %s is not told", c.target, w.Code, got)
			continue
		}
		if got == "application/json" {
			var v any
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			d.holds(t, c.target, m.Schema, v)
		}
		if c.body == "" {
			continue
		}
		in := *op.RequestBody
		if name, ref := strings.CutPrefix(in.Ref, "#/components/requestBodies/"); ref {
			in = d.Components.RequestBodies[name]
		}
		sent, _, _ := mime.ParseMediaType(c.kind)
		if _, ok := in.Content[sent]; !ok {
			_, ok = in.Content["image/*"]
			if !ok || !strings.HasPrefix(sent, "image/") {
				t.Errorf("%s: a body of type %s is not told", c.target, sent)
			}
		}
	}
	var params []string
	for _, p := range d.Paths["/v1/search"]["post"].Parameters {
		params = append(params, p.Name)
	}
	if !slices.Equal(params, []string{"k", "probe"}) {
		t.Errorf("parameters of a search: %v", params)
	}
}
