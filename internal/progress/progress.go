// Package progress carries how far a long job is to whoever shows it. It does not draw.
package progress

// Step names a step of the journey; the words for it are in assets/texts.
type Step string

// The steps, in the order of the journey.
const (
	Open         Step = "open"
	Authenticate Step = "authenticate"
	Fit          Step = "fit"
	Stage        Step = "stage"
	Activate     Step = "activate"
	Smoke        Step = "smoke"
	Build        Step = "build"
	Verify       Step = "verify"
)

// Event is one report. Done and Total are bytes, or golden cases in step smoke; Total is 0 while unknown.
type Event struct {
	Step     Step   `json:"step"`
	Artifact string `json:"artifact,omitempty"` // path of the artifact in work, empty for the whole step
	Variant  string `json:"variant,omitempty"`
	Done     int64  `json:"done"`
	Total    int64  `json:"total"`
	Final    bool   `json:"final,omitempty"` // the step has ended; sent exactly once a step
	// Chunks were verified since the event before, in the order they came. Steps that read a bundle tell them, for
	// whoever draws the pieces; they are no part of the JSON lines.
	Chunks []Chunk `json:"-"`
}

// Chunk is one piece of an artifact.
type Chunk struct {
	Artifact string
	Index    int // counted from 0
}

// Func takes events. It may be nil, is never called concurrently, at most every 100 ms and once more at the end.
type Func func(Event)
