package bundle

// Limits for bytes that nobody has vouched for yet.
const (
	MaxManifestSize   = 8 << 20   // bytes of manifest.json
	MaxSignatureSize  = 64 << 10  // bytes of manifest.sig
	MaxEnvelopeSize   = 32 << 20  // bytes of any other envelope (a volume index holds a seek table)
	MaxArtifacts      = 20_000    // artifacts in one manifest
	MaxSize           = 1<<53 - 1 // bytes of all artifacts together: the largest integer that every JSON reader keeps
	MinChunkSize      = 64 << 10  // bytes
	MaxChunkSize      = 16 << 20  // bytes
	DefaultChunkSize  = 8 << 20   // bytes
	MaxPathBytes      = 200       // bytes of one path
	MaxPathParts      = 16        // parts of one path
	maxDepth          = 32        // nesting of JSON and YAML
	maxTokens         = 1_000_000 // values and names of one JSON text that nobody has vouched for
	maxMembers        = 2048      // members of one object in it
	maxExtensions     = 20_000    // x_… members of a manifest
	maxExtensionBytes = 1 << 20   // bytes of their names and values, all together
	maxSignatures     = 64        // signatures in one envelope
	maxKeyFile        = 16 << 10  // bytes of a key file
	maxSpecSize       = 4 << 20   // bytes of bundle.yaml
	maxName           = 128       // bytes of a tensor, dimension or case name
	maxText           = 2000      // characters of a free text
	maxKeyIDBytes     = 256       // bytes of a key id hint
)

// Limits that only keep absurd values out of arithmetic and of screens.
const (
	maxPriority  = 1_000_000
	maxCores     = 65_536
	maxMemoryMiB = 1 << 30 // 1 PiB
	maxLatencyMS = 3_600_000
	maxTensors   = 1024
	maxRank      = 32
	maxElements  = 1 << 40
	maxList      = 1000
)
