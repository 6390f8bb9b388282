CREATE TABLE IF NOT EXISTS position_cohorts (
    symbol VARCHAR NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    side VARCHAR NOT NULL,
    leverage DOUBLE NOT NULL,
    entry_price DOUBLE NOT NULL,
    liquidation_price DOUBLE NOT NULL,
    contracts_opened DOUBLE NOT NULL,
    opening_log_survival DOUBLE NOT NULL,
    liquidated_at TIMESTAMPTZ
);
COMMENT ON TABLE position_cohorts IS 'Estimated positions: what opened in one bar, on one side, at one leverage, and what became of it.';
COMMENT ON COLUMN position_cohorts.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN position_cohorts.opened_at IS 'closing instant of the bar in which the positions opened [UTC]';
COMMENT ON COLUMN position_cohorts.side IS 'long or short';
COMMENT ON COLUMN position_cohorts.leverage IS 'assumed leverage [x]';
COMMENT ON COLUMN position_cohorts.entry_price IS 'volume-weighted average price of the bar of opening [USD]';
COMMENT ON COLUMN position_cohorts.liquidation_price IS 'price at which the exchange liquidates [USD]';
COMMENT ON COLUMN position_cohorts.contracts_opened IS 'estimated amount opened [contracts]';
COMMENT ON COLUMN position_cohorts.opening_log_survival IS 'log_survival of the side at opened_at: what is left is contracts_opened × exp(log_survival − this) [1]';
COMMENT ON COLUMN position_cohorts.liquidated_at IS 'closing instant of the bar that touched the liquidation price; null while alive [UTC]';
