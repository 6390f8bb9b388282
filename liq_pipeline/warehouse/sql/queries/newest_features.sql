-- What lies within 1 % of $symbol's newest price, for the manifest.
SELECT
    arg_max(long_usd_within_1_pct, ts)::DOUBLE AS long_usd_within_1_pct,
    arg_max(short_usd_within_1_pct, ts)::DOUBLE AS short_usd_within_1_pct
FROM liquidation_features
WHERE symbol = $symbol
