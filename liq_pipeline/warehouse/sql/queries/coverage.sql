-- Which share of each timeframe's bars of $symbol was observed: between the first and the newest bar, and not in a gap.
WITH bars AS (
    SELECT epoch_us(d.ts) AS ts, d.is_interpolated, max(epoch_us(d.ts)) OVER () AS as_of,
        (epoch_us(k.ts) - epoch_us(k.open_time)) / 1000000 AS seconds
    FROM oi_delta AS d
    JOIN klines AS k ON k.symbol = d.symbol AND k.ts = d.ts
    WHERE d.symbol = $symbol AND d.contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)
),
observed AS (
    SELECT (as_of - ts) / 86400000000 AS age_days, seconds FROM bars WHERE NOT is_interpolated
)
SELECT
    coalesce(sum(seconds) FILTER (age_days < 1), 0) / 86400 AS covered_1d,
    coalesce(sum(seconds) FILTER (age_days < 7), 0) / 604800 AS covered_7d,
    coalesce(sum(seconds) FILTER (age_days < 30), 0) / 2592000 AS covered_30d,
    coalesce(sum(seconds) FILTER (age_days < 90), 0) / 7776000 AS covered_90d
FROM observed
