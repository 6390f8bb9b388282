-- Rows of oi_delta for $symbol, from klines and open_interest.
-- A gap runs from the bar after one snapshot to the next snapshot; its change is spread in proportion to volume.
-- Volumes are added as DECIMAL: the order of parallel sums of doubles would change the last digits.
WITH bars AS (
    SELECT
        k.ts,
        k.open_time,
        k.volume,
        CASE WHEN k.volume > 0 THEN least(greatest(k.quote_volume / k.volume, k.low), k.high)
             ELSE (k.high + k.low + k.close) / 3 END AS entry_price,
        o.open_interest AS snapshot
    FROM klines AS k
    LEFT JOIN open_interest AS o ON o.symbol = k.symbol AND o.ts = k.ts AND o.open_interest > 0
    WHERE k.symbol = $symbol
),
spanned AS (
    SELECT
        *,
        count(snapshot) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gap,
        last_value(snapshot IGNORE NULLS) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM bars
    WHERE ts BETWEEN (SELECT min(ts) FROM bars WHERE snapshot IS NOT NULL)
                 AND (SELECT max(ts) FROM bars WHERE snapshot IS NOT NULL)
),
shared AS (
    SELECT
        *,
        max(snapshot) OVER (PARTITION BY gap) AS after,
        count(*) OVER (PARTITION BY gap) AS bars_in_gap,
        row_number() OVER (PARTITION BY gap ORDER BY ts) AS place,
        sum(volume::DECIMAL(28, 8)) OVER (PARTITION BY gap) AS volume_of_gap,
        sum(volume::DECIMAL(28, 8)) OVER (PARTITION BY gap ORDER BY ts) AS volume_so_far
    FROM spanned
),
filled AS (
    SELECT
        *,
        coalesce(snapshot, before + (after - before) * CASE
            WHEN volume_of_gap > 0 THEN volume_so_far::DOUBLE / volume_of_gap::DOUBLE
            ELSE place / bars_in_gap END) AS open_interest,
        lag(ts) OVER (ORDER BY ts) AS previous_ts
    FROM shared
)
SELECT
    $symbol AS symbol,
    ts,
    open_interest,
    open_interest - lag(open_interest) OVER (ORDER BY ts) AS oi_delta,
    (open_interest - lag(open_interest) OVER (ORDER BY ts)) * entry_price AS oi_delta_usd,
    entry_price,
    volume,
    bars_in_gap > 1 OR coalesce(previous_ts < open_time, false) AS is_interpolated
FROM filled
ORDER BY ts
