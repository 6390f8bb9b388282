-- Rows of oi_delta for $symbol after $since, from klines and open_interest. $since is -infinity, or a bar that has a
-- snapshot: what lies before it changes nothing after it.
-- A gap runs from the bar after one snapshot to the next snapshot; its change is spread in proportion to volume.
-- A bar with bad prices counts as missing. Where volume and quote volume contradict each other, one stands in.
-- Volumes are added as DECIMAL: the order of parallel sums of doubles would change the last digits.
-- A ticker that was settled and used again holds several contracts: nothing is spread or subtracted across them.
-- Almost every bar has a snapshot: only bars of gaps go through the windows that spread them.
WITH bars AS (
    SELECT
        k.ts,
        k.open_time,
        k.contract,
        coalesce(k.volume, k.quote_volume / ((k.high + k.low + k.close) / 3), 0) AS volume,
        CASE WHEN k.volume > 0 AND k.quote_volume IS NOT NULL THEN least(greatest(k.quote_volume / k.volume, k.low), k.high)
             ELSE (k.high + k.low + k.close) / 3 END AS entry_price,
        o.open_interest AS snapshot
    FROM klines AS k
    LEFT JOIN (SELECT ts, open_interest, contract FROM open_interest WHERE symbol = $symbol AND open_interest > 0) AS o
        ON o.ts = k.ts AND o.contract = k.contract
    WHERE k.symbol = $symbol AND k.ts >= $since::TIMESTAMPTZ AND k.close IS NOT NULL
),
known AS (
    SELECT contract, min(ts) AS first_ts, max(ts) AS last_ts FROM bars WHERE snapshot IS NOT NULL GROUP BY contract
),
ordered AS (
    SELECT bars.*, lag(ts) OVER by_ts AS previous_ts, lag(snapshot) OVER by_ts AS previous_snapshot
    FROM bars JOIN known USING (contract) WHERE ts BETWEEN first_ts AND last_ts
    WINDOW by_ts AS (PARTITION BY contract ORDER BY ts)
),
gaps AS (
    SELECT ts, contract, volume, snapshot, previous_snapshot,
        count(previous_snapshot) OVER (PARTITION BY contract ORDER BY ts) AS gap
    FROM ordered
    WHERE previous_ts IS NOT NULL AND (snapshot IS NULL OR previous_snapshot IS NULL)
),
shared AS (
    SELECT
        *,
        max(previous_snapshot) OVER (PARTITION BY contract, gap) AS before,
        max(snapshot) OVER (PARTITION BY contract, gap) AS after,
        count(*) OVER (PARTITION BY contract, gap) AS bars_in_gap,
        row_number() OVER (PARTITION BY contract, gap ORDER BY ts) AS place,
        sum(volume::DECIMAL(28, 8)) OVER (PARTITION BY contract, gap) AS volume_of_gap,
        sum(volume::DECIMAL(28, 8)) OVER (PARTITION BY contract, gap ORDER BY ts) AS volume_so_far
    FROM gaps
),
filled AS (
    SELECT
        ts,
        contract,
        gap,
        before,
        coalesce(snapshot, before + (after - before) * CASE
            WHEN volume_of_gap > 0 THEN volume_so_far::DOUBLE / volume_of_gap::DOUBLE
            ELSE place / bars_in_gap END) AS open_interest
    FROM shared
),
spread AS (
    SELECT
        ts,
        open_interest,
        open_interest - coalesce(lag(open_interest) OVER (PARTITION BY contract, gap ORDER BY ts), before) AS oi_delta
    FROM filled
)
SELECT
    'binance' AS exchange,
    $symbol AS symbol,
    o.ts,
    coalesce(s.open_interest, o.snapshot) AS open_interest,
    coalesce(s.oi_delta, o.snapshot - o.previous_snapshot) AS oi_delta,
    coalesce(s.oi_delta, o.snapshot - o.previous_snapshot) * o.entry_price AS oi_delta_usd,
    o.entry_price,
    o.volume,
    s.ts IS NOT NULL OR coalesce(o.previous_ts < o.open_time, false) AS is_interpolated,
    o.contract
FROM ordered AS o
LEFT JOIN spread AS s ON s.ts = o.ts
WHERE o.ts > $since::TIMESTAMPTZ
ORDER BY o.ts
