// Command benchdata writes the input of the benchmark bundle: the demo model with 1 GiB of float32 weights beside it, in
// three variants that share nothing but the model. The weights are normally distributed, as trained ones are: they
// compress by a few per cent.
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"sluice/assets"
)

func main() {
	out := flag.String("out", "", "folder for bundle.yaml and the files it names")
	mib := flag.Int64("mib", 1024, "weights in MiB, all variants together")
	flag.Parse()
	if err := run(*out, *mib); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out string, mib int64) error {
	if err := os.CopyFS(out, assets.Demo()); err != nil {
		return err
	}
	spec, err := os.ReadFile(filepath.Join(out, "bundle.yaml"))
	if err != nil {
		return err
	}
	parts := []struct {
		name  string
		share int64 // of 16
	}{{"large", 10}, {"medium", 5}, {"small", 1}}
	var artifacts, variants strings.Builder
	for i, p := range parts {
		name := "artifacts/weights/" + p.name + ".bin"
		if err := weights(filepath.Join(out, "weights", p.name+".bin"), mib<<20*p.share/16, uint64(i)); err != nil {
			return err
		}
		fmt.Fprintf(&artifacts, "  - {path: %s, role: weights}\n", name)
		fmt.Fprintf(&variants, "  - {id: %s, priority: %d, engine: onnx, execution_provider: cpu, artifacts: [artifacts/models/market-regime-fp32.onnx, %s]}\n", p.name, 10*(i+1), name)
	}
	all := "artifacts/models/market-regime-fp32.onnx, artifacts/weights/large.bin, artifacts/weights/medium.bin, artifacts/weights/small.bin"
	fmt.Fprintf(&variants, "  - {id: whole, priority: 1, engine: onnx, execution_provider: cpu, artifacts: [%s]}\n", all)
	text := string(spec)
	text = strings.Replace(text, "\nartifacts:\n", "\nartifacts:\n"+artifacts.String(), 1)
	text = strings.Replace(text, "\nvariants:\n", "\nvariants:\n"+variants.String(), 1)
	return os.WriteFile(filepath.Join(out, "bundle.yaml"), []byte(text), 0o644)
}

func weights(path string, size int64, seed uint64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(seed, 1))
	var b [4]byte
	for n := int64(0); n < size; n += 4 {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(float32(r.NormFloat64()*0.02)))
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}
