B
volatilityJµ?