-- The legacy system's levels of $symbol in the last $days days before $now, as one query with LAG over the whole file.
-- The same semantics as liq_pipeline/model/baselines.py.
WITH changes AS (
    SELECT
        o.ts,
        o.open_interest_value_usd - lag(o.open_interest_value_usd) OVER (ORDER BY o.ts) AS delta_usd
    FROM open_interest AS o
    WHERE o.symbol = $symbol
),
newest AS (
    SELECT arg_max(k.close, k.ts) AS price, arg_max(o.open_interest_value_usd, k.ts) AS open_interest_usd
    FROM klines AS k
    JOIN open_interest AS o ON o.symbol = k.symbol AND o.ts = k.ts
    WHERE k.symbol = $symbol
),
opening AS (
    SELECT
        floor(k.close / $bin) * $bin AS entry,
        k.close >= k.open AS is_long,
        k.quote_volume / sum(k.quote_volume) OVER () AS share
    FROM changes AS c
    JOIN klines AS k ON k.symbol = $symbol AND k.ts = c.ts
    WHERE c.ts > $now - to_days($days) AND c.delta_usd > 0
),
tiers (leverage, weight, mmr) AS (
    VALUES (5, 0.15::DOUBLE, 0.004::DOUBLE), (10, 0.30, 0.004), (25, 0.25, 0.01), (50, 0.20, 0.01), (100, 0.10, 0.025)
),
levels AS (
    SELECT
        is_long,
        leverage,
        entry * (1 + CASE WHEN is_long THEN -1 ELSE 1 END * (1 - mmr) / leverage) AS liquidation_price,
        share * weight AS share
    FROM opening CROSS JOIN tiers
)
SELECT
    is_long,
    leverage::DOUBLE AS leverage,
    liquidation_price,
    sum(share) * any_value(open_interest_usd) AS notional_usd
FROM levels CROSS JOIN newest
WHERE CASE WHEN is_long THEN liquidation_price < price ELSE liquidation_price > price END
GROUP BY ALL
ORDER BY is_long DESC, leverage, liquidation_price
