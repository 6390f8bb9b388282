-- One table per timeframe; {timeframe} is one of the constants 1d, 7d, 30d, 90d.
CREATE TABLE IF NOT EXISTS liquidation_levels_{timeframe} (
    exchange VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    as_of TIMESTAMPTZ NOT NULL,
    side VARCHAR NOT NULL,
    leverage DOUBLE NOT NULL,
    price_low DOUBLE NOT NULL,
    price_high DOUBLE NOT NULL,
    contracts DOUBLE NOT NULL,
    notional_usd DOUBLE NOT NULL,
    current_price DOUBLE NOT NULL,
    distance_pct DOUBLE NOT NULL
);
COMMENT ON TABLE liquidation_levels_{timeframe} IS 'Estimated liquidation levels of positions younger than {timeframe}: exposure, not a forecast.';
COMMENT ON COLUMN liquidation_levels_{timeframe}.exchange IS 'where the perpetual is traded: binance (USD-M futures)';
COMMENT ON COLUMN liquidation_levels_{timeframe}.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN liquidation_levels_{timeframe}.timeframe IS 'the levels hold positions opened within this time before as_of';
COMMENT ON COLUMN liquidation_levels_{timeframe}.as_of IS 'newest bar that has both klines and open interest [UTC]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.side IS 'long (liquidated when price falls) or short (when it rises)';
COMMENT ON COLUMN liquidation_levels_{timeframe}.leverage IS 'assumed leverage [x]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.price_low IS 'lower edge of the price bin [USD]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.price_high IS 'upper edge of the price bin [USD]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.contracts IS 'estimated open positions whose liquidation price lies in the bin [contracts]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.notional_usd IS 'contracts × liquidation price, summed: estimated exposure [USD]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.current_price IS 'close of the bar at as_of [USD]';
COMMENT ON COLUMN liquidation_levels_{timeframe}.distance_pct IS 'middle of the bin, relative to the current price; negative below it [%]';
