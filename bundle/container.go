package bundle

import (
	"sluice/internal/fault"
)

// Limits of the container, checked before a byte of it is believed.
const (
	maxWindow = 32 << 20 // bytes of zstd window
	maxFrames = 1 << 17  // frames of an indexed bundle; 8 MiB of manifest cannot name more chunks
	maxHead   = 4*tarBlock + MaxManifestSize + MaxSignatureSize
)

// Artifact numbers of frames that belong to none.
const (
	headFrame = -1 // manifest.json and manifest.sig
	endFrame  = -2 // two zero blocks
)

// frame is one zstd frame of an indexed bundle as the manifest demands it: decoded it is an artifact's header (first
// chunk only), data, and padding (last chunk only).
type frame struct {
	artifact int // index into the manifest's artifacts, headFrame or endFrame
	chunk    int
	header   int32 // bytes
	data     int32 // bytes
	padding  int32 // bytes
}

func (f frame) size() int64 { return int64(f.header) + int64(f.data) + int64(f.padding) }

// layout derives all frames of an indexed bundle from the manifest. head is the decoded size of frame 1.
func layout(m *Manifest, mtime int64, head int) ([]frame, error) {
	frames := []frame{{artifact: headFrame, data: int32(head)}}
	for i := range m.Artifacts {
		a := &m.Artifacts[i]
		if err := checkChunks(a); err != nil {
			return nil, err
		}
		header := int32(len(tarHeader(a.Path, a.Size, mtime)))
		for c := range max(len(a.Chunks), 1) {
			f := frame{artifact: i, chunk: c, header: header, data: int32(chunkLen(a, c))}
			header = 0
			if c >= len(a.Chunks)-1 {
				f.padding = int32(tarPadding(a.Size))
			}
			frames = append(frames, f)
		}
		if len(frames) >= maxFrames {
			return nil, fault.New(fault.Limit, "the manifest names more than %d chunks", maxFrames-2)
		}
	}
	return append(frames, frame{artifact: endFrame, data: tarEnd}), nil
}

// chunkLen is the size of chunk i in bytes.
func chunkLen(a *Artifact, i int) int64 {
	return min(a.ChunkSize, a.Size-int64(i)*a.ChunkSize)
}

// checkChunks demands that an artifact's size and chunks agree. ParseManifest does the same; here it guards the
// arithmetic against manifests from elsewhere.
func checkChunks(a *Artifact) error {
	if a.ChunkSize < MinChunkSize || a.ChunkSize > MaxChunkSize || a.Size < 0 || a.Size > MaxSize ||
		int64(len(a.Chunks)) != (a.Size+a.ChunkSize-1)/a.ChunkSize {
		return fault.New(fault.ManifestInvalid, "artifact %q: %d bytes in %d chunks of %d bytes do not agree", clip(a.Path), a.Size, len(a.Chunks), a.ChunkSize).
			With("path", clip(a.Path))
	}
	if len(a.Chunks) == 1 && a.Chunks[0] != a.SHA384 {
		return fault.New(fault.ManifestInvalid, "artifact %q has one chunk, and its digest is not the file's", clip(a.Path)).With("path", clip(a.Path))
	}
	return nil
}

// headBytes is the decoded content of frame 1.
func headBytes(manifest, signature []byte, mtime int64) []byte {
	var out []byte
	for _, e := range []struct {
		name string
		data []byte
	}{{manifestName, manifest}, {signatureName, signature}} {
		n := int64(len(e.data))
		out = append(out, tarHeader(e.name, n, mtime)...)
		out = append(out, e.data...)
		out = append(out, make([]byte, tarPadding(n))...)
	}
	return out
}
