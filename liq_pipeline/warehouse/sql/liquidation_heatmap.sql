-- One table per timeframe, empty and of this connection: where a heatmap was made, a view of its Parquet file stands in.
-- {timeframe} is one of the constants 1d, 7d, 30d, 90d.
CREATE TEMP TABLE IF NOT EXISTS liquidation_heatmap_{timeframe} (
    exchange VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    price_low DOUBLE NOT NULL,
    price_high DOUBLE NOT NULL,
    side VARCHAR NOT NULL,
    notional_usd FLOAT NOT NULL,
    contracts FLOAT NOT NULL,
    notional_usd_10x FLOAT NOT NULL,
    notional_usd_25x FLOAT NOT NULL,
    notional_usd_50x FLOAT NOT NULL,
    notional_usd_over_50x FLOAT NOT NULL
);
COMMENT ON TABLE liquidation_heatmap_{timeframe} IS 'Estimated positions alive at each instant of the last {timeframe}, by liquidation price: exposure, not a forecast.';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.exchange IS 'where the perpetual is traded: binance (USD-M futures)';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.timeframe IS 'how far back the columns go; positions of any age are shown';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.ts IS 'closing instant of the column [UTC]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.price_low IS 'lower edge of the price row [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.price_high IS 'upper edge of the price row [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.side IS 'long (liquidated when price falls) or short (when it rises)';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.notional_usd IS 'contracts × liquidation price, summed: estimated exposure [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.contracts IS 'estimated open positions at ts whose liquidation price lies in the row [contracts]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.notional_usd_10x IS 'the part of notional_usd at leverage up to 10x [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.notional_usd_25x IS 'the part of notional_usd above 10x, up to 25x [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.notional_usd_50x IS 'the part of notional_usd above 25x, up to 50x [USD]';
COMMENT ON COLUMN liquidation_heatmap_{timeframe}.notional_usd_over_50x IS 'the part of notional_usd above 50x [USD]';
