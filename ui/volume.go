package ui

import (
	"context"

	"sluice/bundle"
)

// askVolume asks a person for the medium with the next volume, from the goroutine that reads the bundle.
func (w *Window) askVolume() func(ctx context.Context, want bundle.VolumeWanted) (string, error) {
	return nil
}
