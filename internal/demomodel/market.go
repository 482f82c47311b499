package demomodel

// Regime is the hidden state of the synthetic market.
type Regime uint8

// The regimes, in the order of the classifier's outputs.
const (
	Calm   Regime = iota // small, mean-reverting moves
	Trend                // steady drift up or down, moderate noise
	Stress               // falling, large and clustered moves, jumps
)

// Regimes is how many there are.
const Regimes = 3

var regimeNames = [Regimes]string{"calm", "trend", "stress"}

func (r Regime) String() string { return regimeNames[r] }

// Series is one synthetic market, one element a bar.
type Series struct {
	Close  []float64
	Regime []Regime
}

// The market's parameters. Moves are log returns a bar, before the series' own volatility scale.
const (
	calmSigma  = 0.0045
	calmRevert = -0.30 // correlation of a calm return with the one before
	trendSigma = 0.0065
	trendDrift = 0.0038
	bullShare  = 0.62 // share of trends that go up

	stressSigma   = 0.0150
	stressDrift   = -0.0025
	stressCluster = 0.35 // weight of the last squared move in the next variance (ARCH(1))
	stressLimit   = 3.0  // that weight's cap, in multiples of the base variance
	jumpChance    = 0.04
	jumpSize      = 0.045

	scaleSigma = 0.15 // spread of the series' volatility scale, log-normal
)

// transitions[a][b] is the chance of going from regime a to b at a bar. Regimes last 90, 80 and 40 bars on average.
var transitions = [Regimes][Regimes]float64{
	Calm:   {1 - 1.0/90, 0.75 / 90, 0.25 / 90},
	Trend:  {0.60 / 80, 1 - 1.0/80, 0.40 / 80},
	Stress: {0.65 / 40, 0.35 / 40, 1 - 1.0/40},
}

// NewSeries draws n bars: a three-state Markov chain chooses the regime, the regime the distribution of the move.
func NewSeries(seed, stream uint64, n int) Series {
	r := newRandom(seed, stream)
	s := Series{Close: make([]float64, n), Regime: make([]Regime, n)}
	scale := exp(mul(scaleSigma, r.normal()))
	state, up, last, level := Calm, true, 0.0, log(100)
	for i := range n {
		if next := step(r, state); next != state {
			state = next
			up = r.uniform() < bullShare
		}
		last = move(r, state, up, last)
		level += mul(scale, last)
		s.Close[i], s.Regime[i] = exp(level), state
	}
	return s
}

func step(r random, from Regime) Regime {
	u := r.uniform()
	for to, p := range transitions[from] {
		if u < p {
			return Regime(to)
		}
		u -= p
	}
	return from
}

// move draws one unscaled log return; last is the one before.
func move(r random, state Regime, up bool, last float64) float64 {
	switch state {
	case Calm:
		revert := mul(calmRevert, min(max(last, -2*calmSigma), 2*calmSigma))
		return revert + mul(calmSigma, r.normal())
	case Trend:
		drift := trendDrift
		if !up {
			drift = -drift
		}
		return drift + mul(trendSigma, r.normal())
	}
	cluster := min(mul(last, last)/mul(stressSigma, stressSigma), stressLimit)
	sigma := mul(stressSigma, sqrt(1-stressCluster+mul(stressCluster, cluster)))
	v := stressDrift + mul(sigma, r.normal())
	if r.uniform() < jumpChance {
		v -= mul(jumpSize, r.uniform())
	}
	return v
}
