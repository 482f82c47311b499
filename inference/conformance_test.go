package inference

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/bundle"
	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/testort"
)

const conformanceArchive = "onnx-v1.16-backend-data.tar.zst"

// conformanceFiles reads the official cases into memory: files by case folder. SLUICE_ONNX_TESTS names the folder of the
// archive; otherwise it is looked for beside the repository.
func conformanceFiles(t *testing.T) map[string]map[string][]byte {
	t.Helper()
	dir := os.Getenv("SLUICE_ONNX_TESTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "onnx-tests")
	}
	f, err := os.Open(filepath.Join(dir, conformanceArchive))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the official ONNX cases are not there (SLUICE_ONNX_TESTS): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string]map[string][]byte{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := h.Name
		folder := path.Dir(name)
		if strings.HasPrefix(path.Base(folder), "test_data_set_") {
			folder = path.Dir(folder)
		}
		raw, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if out[folder] == nil {
			out[folder] = map[string][]byte{}
		}
		out[folder][strings.TrimPrefix(name, folder+"/")] = raw
	}
	maps.DeleteFunc(out, func(_ string, files map[string][]byte) bool { return files["model.onnx"] == nil })
	return out
}

// TestConformanceOfTheFullRuntime runs every official case through ONNX Runtime. What goes wrong is of the library's own
// making: types without a CPU kernel, layout=1 recurrent operators, random operators; the count must not fall.
func TestConformanceOfTheFullRuntime(t *testing.T) {
	lib := testort.Library(t)
	cases := conformanceFiles(t)
	d, err := AllowedLibrary(t.Context(), lib, Allowed{})
	if err != nil {
		t.Fatal(err)
	}
	full, err := loadLibrary(t.Context(), EngineSpec{Kind: KindONNXRuntime, LibraryPath: lib, LibrarySHA384: d})
	if err != nil {
		t.Fatal(err)
	}
	counts, passed := map[fault.Code]int{}, 0
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		err := runConformance(full, cases[name])
		if err == nil {
			passed++
			continue
		}
		counts[fault.CodeOf(err)]++
		t.Logf("%s: %s: %.300v", path.Base(name), fault.CodeOf(err), err)
	}
	fmt.Printf("summary: official ONNX cases through ONNX Runtime: %d of %d passed; others: %v\n", passed, len(cases), counts)
	if want := wantConformance[full.Version()]; passed < want || len(cases) != 1422 {
		t.Errorf("%d of %d cases passed with ONNX Runtime %s, want %d of 1422", passed, len(cases), full.Version(), want)
	}
}

// TestConformanceOfTheOldestRuntime is the same with the oldest release that is served.
func TestConformanceOfTheOldestRuntime(t *testing.T) {
	testort.AlsoWithTheOldest(t, "^TestConformanceOfTheFullRuntime$")
}

// wantConformance is what passed, by release; docs/engines.md says what the others are. Releases that are not listed only
// must not crash.
var wantConformance = map[string]int{"1.30.0": 1312, "1.18.0": 1271}

func runConformance(full *ort.Library, files map[string][]byte) error {
	s, err := full.Open(files["model.onnx"], ort.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	in, out, err := s.Signature()
	if err != nil {
		return err
	}
	m, err := onnx.Parse(files["model.onnx"])
	if err != nil {
		return err
	}
	types := map[string]onnx.Type{}
	for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
		types[v.Name] = v.Type
	}
	sets := 0
	for set := 0; ; set++ {
		read := func(kind string, infos []tensor.Info) (map[string]tensor.Value, error) {
			values := map[string]tensor.Value{}
			for i, info := range infos {
				raw, ok := files[fmt.Sprintf("test_data_set_%d/%s_%d.pb", set, kind, i)]
				if !ok {
					continue
				}
				v, err := onnx.ParseValue(bytes.Clone(raw), types[info.Name])
				if err != nil {
					return nil, err
				}
				if info.Type == "bfloat16" && v.Tensor.DType == tensor.Uint16 { // numpy has none, the data holds its bits
					v.Tensor.DType = tensor.BFloat16
				}
				values[info.Name] = v
			}
			return values, nil
		}
		inputs, err := read("input", in)
		if err != nil {
			return err
		}
		want, err := read("output", out)
		if err != nil {
			return err
		}
		if len(want) == 0 {
			break
		}
		sets++
		got, err := s.Run(context.Background(), inputs)
		if err != nil {
			return err
		}
		for name, w := range want {
			if c := compare(got[name], w, bundle.Tolerance{Abs: 1e-5, Rel: 1e-3}); c.reason != "" {
				return fault.New(fault.SmokeFailed, "output %q at %v: %s", name, c.worst.Index, c.reason)
			}
		}
	}
	if sets == 0 {
		return fault.New(fault.Internal, "no data")
	}
	return nil
}
