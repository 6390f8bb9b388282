-- What is published of $symbol's positions: every bar of the living contract, both sides, with what opened there.
SELECT
    'binance' AS exchange,
    s.symbol,
    s.ts,
    s.side,
    k.low,
    k.high,
    k.close,
    c.entry_price,
    coalesce(c.contracts_opened, 0) AS contracts_opened,
    c.maintenance_margin_rate,
    c.leverages,
    c.liquidated_after_minutes::INTEGER[] AS liquidated_after_minutes,
    s.log_survival,
    d.is_interpolated
FROM position_survival AS s
JOIN klines AS k ON k.symbol = s.symbol AND k.ts = s.ts
JOIN oi_delta AS d ON d.symbol = s.symbol AND d.ts = s.ts
LEFT JOIN position_cohorts AS c ON c.symbol = s.symbol AND c.opened_at = s.ts AND c.side = s.side
WHERE s.symbol = $symbol
ORDER BY s.ts, s.side
