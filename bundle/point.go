package bundle

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Edwards25519 (RFC 8032, section 5.1): -x² + y² = 1 + d·x²·y² over the field of p = 2²⁵⁵ - 19.
var (
	curveP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = func() *big.Int { // d = -121665/121666
		d := new(big.Int).ModInverse(big.NewInt(121666), curveP)
		d.Mul(d, big.NewInt(-121665))
		return d.Mod(d, curveP)
	}()
)

// checkPoint says why k may not serve as a public key. crypto/ed25519 itself accepts y of p or more, and points of
// low order, under which one signature fits many messages.
func checkPoint(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("has %d bytes, want %d", len(k), ed25519.PublicKeySize)
	}
	be := slices.Clone(k)
	slices.Reverse(be)
	sign := be[0] >> 7
	be[0] &= 0x7f
	y := new(big.Int).SetBytes(be)
	if y.Cmp(curveP) >= 0 {
		return errors.New("is not canonical: y is not below 2^255-19")
	}
	// x² = (y²-1) / (d·y²+1); the divisor is never 0, for -1/d is not a square.
	yy := new(big.Int).Mul(y, y)
	den := new(big.Int).Mul(curveD, yy)
	den.Add(den, big.NewInt(1)).Mod(den, curveP).ModInverse(den, curveP)
	xx := new(big.Int).Sub(yy, big.NewInt(1))
	xx.Mul(xx, den).Mod(xx, curveP)
	if big.Jacobi(xx, curveP) < 0 {
		return errors.New("is not a point of the curve")
	}
	if xx.Sign() == 0 && sign == 1 {
		return errors.New("is not canonical: x is 0 and its sign bit is set")
	}
	// Points of order 1, 2 and 4 have x·y = 0; those of order 8 have x² = -y² (doubling gives x = 0 or y = 0).
	if xx.Sign() == 0 || y.Sign() == 0 || new(big.Int).Mod(new(big.Int).Add(xx, yy), curveP).Sign() == 0 {
		return errors.New("has low order")
	}
	return nil
}
