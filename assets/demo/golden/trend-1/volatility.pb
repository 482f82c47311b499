B
volatilityJ¯»K?