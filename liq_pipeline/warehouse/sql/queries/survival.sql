-- Survival of $symbol's positions, both sides beside each other, one row per bar.
SELECT l.ts, l.log_survival AS long, s.log_survival AS short
FROM position_survival AS l
JOIN position_survival AS s ON s.symbol = l.symbol AND s.ts = l.ts AND s.side = 'short'
WHERE l.symbol = $symbol AND l.side = 'long'
ORDER BY l.ts
