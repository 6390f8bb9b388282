-- Bars of $symbol as `liq validate` reads them.
SELECT ts, open, high, low, close, volume, quote_volume
FROM klines
WHERE symbol = $symbol AND close IS NOT NULL
ORDER BY ts
