B
volatilityJ=Å°?