-- The newest bar of $symbol that has both klines and open interest, and the history of its contract behind it.
SELECT max(d.ts) AS as_of, min(d.ts) AS first_ts, arg_max(k.close, d.ts) AS current_price,
       arg_max(d.open_interest, d.ts) AS open_interest
FROM oi_delta AS d
JOIN klines AS k ON k.symbol = d.symbol AND k.ts = d.ts
WHERE d.symbol = $symbol AND d.contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)
