-- Candles of $symbol in columns of $width seconds that close at $as_of and before, from $since on.
-- Only bars of the living contract. A column without a bar has no candle. Volumes are added as DECIMAL: reproducible to the last digit.
SELECT
    'binance' AS exchange,
    $symbol AS symbol,
    $timeframe AS timeframe,
    make_timestamptz(epoch_us($as_of::TIMESTAMPTZ) - (epoch_us($as_of::TIMESTAMPTZ) - epoch_us(k.ts))
        // ($width::BIGINT * 1000000) * ($width::BIGINT * 1000000)) AS ts,
    min(k.open_time) AS open_time,
    arg_min(k.open, k.ts) AS open,
    max(k.high) AS high,
    min(k.low) AS low,
    arg_max(k.close, k.ts) AS close,
    sum(coalesce(k.volume, k.quote_volume / ((k.high + k.low + k.close) / 3))::DECIMAL(28, 8))::DOUBLE AS volume
FROM klines AS k
WHERE k.symbol = $symbol AND k.ts > $since AND k.ts <= $as_of AND k.close IS NOT NULL
    AND k.contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)
GROUP BY ALL
ORDER BY 4
