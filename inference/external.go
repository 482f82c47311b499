package inference

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/internal/fault"
)

// Limits of the walk through a model's messages.
const (
	maxMessageDepth   = 300 // one nested If takes three
	maxExternalNames  = 10_000
	maxExternalName   = 400 // bytes
	externalTensorLoc = 14  // TensorProto.data_location, EXTERNAL = 1
	externalTensorKV  = 13  // TensorProto.external_data
)

// message kinds of onnx.proto that can hold a tensor somewhere below.
type protoKind int

const (
	protoModel protoKind = iota
	protoGraph
	protoNode
	protoAttribute
	protoFunction
	protoTraining
	protoSparse
	protoTensor
)

// protoChildren names the fields that lead to tensors, as numbered in onnx.proto (ONNX 1.16 and before; numbers are
// never reused). Everything else is skipped.
var protoChildren = map[protoKind]map[protowire.Number]protoKind{
	protoModel:     {7: protoGraph, 20: protoTraining, 25: protoFunction},
	protoTraining:  {1: protoGraph, 2: protoGraph},
	protoFunction:  {7: protoNode, 11: protoAttribute},
	protoGraph:     {1: protoNode, 5: protoTensor, 15: protoSparse},
	protoNode:      {5: protoAttribute},
	protoAttribute: {5: protoTensor, 6: protoGraph, 10: protoTensor, 11: protoGraph, 22: protoSparse, 23: protoSparse},
	protoSparse:    {1: protoTensor, 2: protoTensor},
}

// externalLocations lists, sorted, the files in which the model keeps elements of tensors, wherever in it they are named:
// engines would open them. It refuses (fault.ModelInvalid) what is not protobuf or nested without end.
func externalLocations(model []byte) ([]string, error) {
	w := &externalWalk{found: map[string]bool{}}
	if err := w.message(protoModel, model, 0); err != nil {
		return nil, fault.New(fault.ModelInvalid, "reading the model: %w", err)
	}
	out := make([]string, 0, len(w.found))
	for n := range w.found {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

type externalWalk struct{ found map[string]bool }

func (w *externalWalk) message(kind protoKind, raw []byte, depth int) error {
	if depth > maxMessageDepth {
		return fmt.Errorf("messages are nested more than %d deep", maxMessageDepth)
	}
	if kind == protoTensor {
		return w.tensor(raw)
	}
	children := protoChildren[kind]
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return fmt.Errorf("not an ONNX model: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		child, ok := children[num]
		if !ok || typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, raw); n < 0 {
				return fmt.Errorf("not an ONNX model: %w", protowire.ParseError(n))
			}
			raw = raw[n:]
			continue
		}
		b, n := protowire.ConsumeBytes(raw)
		if n < 0 {
			return fmt.Errorf("not an ONNX model: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		if err := w.message(child, b, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// tensor notes every location that the tensor names, and refuses one that says it is external and names none.
func (w *externalWalk) tensor(raw []byte) error {
	external, named := false, false
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return fmt.Errorf("not a tensor: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		size := protowire.ConsumeFieldValue(num, typ, raw)
		if size < 0 {
			return fmt.Errorf("not a tensor: %w", protowire.ParseError(size))
		}
		switch {
		case num == externalTensorLoc && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(raw)
			external = external || v != 0
		case num == externalTensorKV && typ == protowire.BytesType:
			b, _ := protowire.ConsumeBytes(raw)
			k, v, err := keyValue(b)
			if err != nil {
				return err
			}
			if k == "location" {
				named = true
				if err := w.add(v); err != nil {
					return err
				}
			}
		}
		raw = raw[size:]
	}
	if external && !named {
		return fmt.Errorf("a tensor lies in another file but names none")
	}
	return nil
}

func (w *externalWalk) add(name string) error {
	if len(name) > maxExternalName {
		return fmt.Errorf("name of an external file has %d bytes, want at most %d", len(name), maxExternalName)
	}
	if w.found[name] = true; len(w.found) > maxExternalNames {
		return fmt.Errorf("more than %d external files", maxExternalNames)
	}
	return nil
}

// keyValue reads a StringStringEntryProto.
func keyValue(raw []byte) (k, v string, err error) {
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return "", "", fmt.Errorf("not a key and value: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		size := protowire.ConsumeFieldValue(num, typ, raw)
		if size < 0 {
			return "", "", fmt.Errorf("not a key and value: %w", protowire.ParseError(size))
		}
		if typ == protowire.BytesType {
			b, _ := protowire.ConsumeBytes(raw)
			switch num {
			case 1:
				k = string(b)
			case 2:
				v = string(b)
			}
		}
		raw = raw[size:]
	}
	return k, v, nil
}
