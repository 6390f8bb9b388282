-- Bars of $symbol as `liq validate` reads them, of the living contract.
SELECT ts, open, high, low, close, coalesce(volume, quote_volume / ((high + low + close) / 3)) AS volume, quote_volume
FROM klines
WHERE symbol = $symbol AND close IS NOT NULL
    AND contract = (SELECT max(contract) FROM klines WHERE symbol = $symbol)
ORDER BY ts
