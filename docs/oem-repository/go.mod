module example.org/bot

go 1.26

// Where your copy of sluice's source lies: a submodule, a vendored folder, or your own module server's path for it.
require sluice v0.0.0

replace sluice => ./third_party/sluice
