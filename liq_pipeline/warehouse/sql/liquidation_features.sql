-- Empty and of this connection: where features were made, a view of their Parquet file stands in.
CREATE TEMP TABLE IF NOT EXISTS liquidation_features (
    exchange VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    close DOUBLE NOT NULL,
    long_usd_within_0_5_pct FLOAT NOT NULL,
    long_usd_within_1_pct FLOAT NOT NULL,
    long_usd_within_2_pct FLOAT NOT NULL,
    long_usd_within_5_pct FLOAT NOT NULL,
    short_usd_within_0_5_pct FLOAT NOT NULL,
    short_usd_within_1_pct FLOAT NOT NULL,
    short_usd_within_2_pct FLOAT NOT NULL,
    short_usd_within_5_pct FLOAT NOT NULL,
    long_notional_usd FLOAT NOT NULL,
    short_notional_usd FLOAT NOT NULL,
    long_zone_distance_pct FLOAT,
    long_zone_usd FLOAT,
    short_zone_distance_pct FLOAT,
    short_zone_usd FLOAT,
    imbalance FLOAT NOT NULL,
    long_usd_within_2_pct_change FLOAT,
    short_usd_within_2_pct_change FLOAT,
    imbalance_change FLOAT,
    open_interest_age_minutes INTEGER NOT NULL,
    is_interpolated BOOLEAN NOT NULL
);
COMMENT ON TABLE liquidation_features IS 'Estimated exposure near the price, one row per bar, as of its close: what a bot merges with its candles. Exposure, not a forecast.';
COMMENT ON COLUMN liquidation_features.exchange IS 'where the perpetual is traded: binance (USD-M futures)';
COMMENT ON COLUMN liquidation_features.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN liquidation_features.ts IS 'closing instant of the bar; nothing later is in its row [UTC]';
COMMENT ON COLUMN liquidation_features.close IS 'last price of the bar [USD]';
COMMENT ON COLUMN liquidation_features.long_usd_within_0_5_pct IS 'estimated notional of longs that would be liquidated at most 0.5 % below close [USD]';
COMMENT ON COLUMN liquidation_features.long_usd_within_1_pct IS 'the same within 1 % [USD]';
COMMENT ON COLUMN liquidation_features.long_usd_within_2_pct IS 'the same within 2 % [USD]';
COMMENT ON COLUMN liquidation_features.long_usd_within_5_pct IS 'the same within 5 % [USD]';
COMMENT ON COLUMN liquidation_features.short_usd_within_0_5_pct IS 'estimated notional of shorts that would be liquidated at most 0.5 % above close [USD]';
COMMENT ON COLUMN liquidation_features.short_usd_within_1_pct IS 'the same within 1 % [USD]';
COMMENT ON COLUMN liquidation_features.short_usd_within_2_pct IS 'the same within 2 % [USD]';
COMMENT ON COLUMN liquidation_features.short_usd_within_5_pct IS 'the same within 5 % [USD]';
COMMENT ON COLUMN liquidation_features.long_notional_usd IS 'estimated notional of all longs [USD]';
COMMENT ON COLUMN liquidation_features.short_notional_usd IS 'estimated notional of all shorts [USD]';
COMMENT ON COLUMN liquidation_features.long_zone_distance_pct IS 'from close to the middle of the nearest large zone of longs: a bin of 0.1 % among the largest tenth within 10 %; null where there is none [%]';
COMMENT ON COLUMN liquidation_features.long_zone_usd IS 'estimated notional in that zone [USD]';
COMMENT ON COLUMN liquidation_features.short_zone_distance_pct IS 'the same of shorts [%]';
COMMENT ON COLUMN liquidation_features.short_zone_usd IS 'estimated notional in that zone [USD]';
COMMENT ON COLUMN liquidation_features.imbalance IS '(long − short) / (long + short) within 5 %: 1 if all exposure is long, −1 if all is short, 0 if there is none [1]';
COMMENT ON COLUMN liquidation_features.long_usd_within_2_pct_change IS 'long_usd_within_2_pct less that of the bar before; null in the first bar [USD]';
COMMENT ON COLUMN liquidation_features.short_usd_within_2_pct_change IS 'short_usd_within_2_pct less that of the bar before [USD]';
COMMENT ON COLUMN liquidation_features.imbalance_change IS 'imbalance less that of the bar before [1]';
COMMENT ON COLUMN liquidation_features.open_interest_age_minutes IS 'from the newest snapshot of open interest to the close: 0 unless it is missing [minutes]';
COMMENT ON COLUMN liquidation_features.is_interpolated IS 'whether a gap of open interest was spread over this bar: then the snapshot after it is in the row, too';
