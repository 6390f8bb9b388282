-- What opened of $symbol, in the order of bars and sides, with how each side survived until then and since.
SELECT
    c.opened_at,
    c.side = 'long' AS is_long,
    d.entry_price,
    k.low,
    k.high,
    c.contracts_opened,
    c.maintenance_margin_rate,
    c.leverages,
    c.ends,
    c.cells,
    s.log_survival AS opening_log_survival,
    exp(n.log_survival - s.log_survival) AS survived
FROM cohorts AS c
JOIN position_survival AS s ON s.symbol = c.symbol AND s.side = c.side AND s.ts = c.opened_at
JOIN oi_delta AS d ON d.symbol = c.symbol AND d.ts = c.opened_at
JOIN klines AS k ON k.symbol = c.symbol AND k.ts = c.opened_at
JOIN (
    SELECT side, arg_max(log_survival, ts) AS log_survival FROM position_survival WHERE symbol = $symbol GROUP BY side
) AS n ON n.side = c.side
WHERE c.symbol = $symbol
ORDER BY c.opened_at, c.side
