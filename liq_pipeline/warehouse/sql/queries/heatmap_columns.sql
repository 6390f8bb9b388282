-- Per column and side of $symbol: what the heatmap holds, beside what the walk tracked and open interest then.
-- A column of a missing bar shows the state after the bar before it.
SELECT h.ts, h.side, h.contracts, s.tracked, s.tracked + s.untracked AS open_interest
FROM (SELECT ts, side, sum(contracts) AS contracts FROM {table} WHERE symbol = $symbol GROUP BY ALL) AS h
ASOF JOIN (SELECT * FROM position_survival WHERE symbol = $symbol) AS s ON s.side = h.side AND h.ts >= s.ts
ORDER BY h.ts, h.side
