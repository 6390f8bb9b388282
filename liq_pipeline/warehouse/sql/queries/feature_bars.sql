-- The bars of $symbol's living contract: close, survival of both sides, and the age of open interest.
SELECT
    l.ts,
    k.close,
    l.log_survival AS long,
    s.log_survival AS short,
    d.is_interpolated,
    datediff('minute', max(o.ts) OVER (ORDER BY l.ts), l.ts) AS age
FROM position_survival AS l
JOIN position_survival AS s ON s.symbol = l.symbol AND s.ts = l.ts AND s.side = 'short'
JOIN klines AS k ON k.symbol = l.symbol AND k.ts = l.ts
JOIN oi_delta AS d ON d.symbol = l.symbol AND d.ts = l.ts
LEFT JOIN open_interest AS o ON o.symbol = l.symbol AND o.ts = l.ts AND o.open_interest IS NOT NULL
WHERE l.symbol = $symbol AND l.side = 'long'
ORDER BY l.ts
