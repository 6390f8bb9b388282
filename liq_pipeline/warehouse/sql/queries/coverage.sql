-- Which share of each timeframe's bars of $symbol was observed: between the first and the newest bar, and not in a gap.
WITH bars AS (
    SELECT d.ts, d.is_interpolated, max(d.ts) OVER () AS as_of, k.ts - k.open_time AS width
    FROM oi_delta AS d
    JOIN klines AS k ON k.symbol = d.symbol AND k.ts = d.ts
    WHERE d.symbol = $symbol AND d.contract = (SELECT max(contract) FROM oi_delta WHERE symbol = $symbol)
),
observed AS (
    SELECT as_of - ts AS age, epoch(width) AS seconds FROM bars WHERE NOT is_interpolated
)
SELECT
    coalesce(sum(seconds) FILTER (age < INTERVAL 1 DAY), 0) / epoch(INTERVAL 1 DAY) AS covered_1d,
    coalesce(sum(seconds) FILTER (age < INTERVAL 7 DAY), 0) / epoch(INTERVAL 7 DAY) AS covered_7d,
    coalesce(sum(seconds) FILTER (age < INTERVAL 30 DAY), 0) / epoch(INTERVAL 30 DAY) AS covered_30d,
    coalesce(sum(seconds) FILTER (age < INTERVAL 90 DAY), 0) / epoch(INTERVAL 90 DAY) AS covered_90d
FROM observed
