-- What the walk reads for $symbol from $since on: oi_delta beside the range of each bar,
-- for the living contract: positions of a settled one ended with it.
SELECT d.ts, d.open_interest, d.entry_price, k.low, k.high, k.close, d.volume
FROM oi_delta AS d
JOIN klines AS k ON k.symbol = d.symbol AND k.ts = d.ts
WHERE d.symbol = $symbol AND d.contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)
    AND d.ts >= $since::TIMESTAMPTZ
ORDER BY d.ts
