-- What the walk reads for $symbol from $since on: oi_delta beside the range of each bar.
SELECT d.ts, d.open_interest, d.entry_price, k.low, k.high, k.close, d.volume
FROM oi_delta AS d
JOIN klines AS k ON k.symbol = d.symbol AND k.ts = d.ts
WHERE d.symbol = $symbol AND d.ts >= $since::TIMESTAMPTZ
ORDER BY d.ts
