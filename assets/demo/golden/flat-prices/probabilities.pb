BprobabilitiesJY
?Á9m;êÎ9