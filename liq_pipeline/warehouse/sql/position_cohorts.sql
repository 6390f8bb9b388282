CREATE TABLE IF NOT EXISTS position_cohorts (
    symbol VARCHAR NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    side VARCHAR NOT NULL,
    entry_price DOUBLE NOT NULL,
    contracts_opened DOUBLE NOT NULL,
    maintenance_margin_rate DOUBLE NOT NULL,
    leverages INTEGER NOT NULL,
    liquidated_after_minutes INTEGER[{leverages}] NOT NULL
);
COMMENT ON TABLE position_cohorts IS 'Estimated positions: what opened in one bar, on one side, and what became of it at each leverage. The view position_cells has a row per leverage.';
COMMENT ON COLUMN position_cohorts.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN position_cohorts.opened_at IS 'closing instant of the bar in which the positions opened [UTC]';
COMMENT ON COLUMN position_cohorts.side IS 'long or short';
COMMENT ON COLUMN position_cohorts.entry_price IS 'volume-weighted average price of the bar of opening [USD]';
COMMENT ON COLUMN position_cohorts.contracts_opened IS 'estimated amount opened, an equal share at each of its leverages; churn included [contracts]';
COMMENT ON COLUMN position_cohorts.maintenance_margin_rate IS 'rate of the first bracket on that day [1]';
COMMENT ON COLUMN position_cohorts.leverages IS 'how many leverages the brackets of that day allow: the lowest ones of the ladder [1]';
COMMENT ON COLUMN position_cohorts.liquidated_after_minutes IS 'by leverage: from opened_at to the closing instant of the bar that touched the liquidation price; null while alive [minutes]';

-- Everything about a cell follows from its row above, with the formula of model/margin.py: the same bits.
CREATE OR REPLACE VIEW position_cells AS
SELECT
    c.symbol,
    c.opened_at,
    c.side,
    c.leverage,
    c.entry_price,
    CASE c.side
        WHEN 'long' THEN c.entry_price * (1 - 1 / c.leverage) / (1 - c.maintenance_margin_rate)
        ELSE c.entry_price * (1 + 1 / c.leverage) / (1 + c.maintenance_margin_rate)
    END AS liquidation_price,
    c.contracts_opened * (1::DOUBLE / c.leverages) AS contracts_opened,
    c.opened_at + to_minutes(c.after_minutes) AS liquidated_at
FROM (
    SELECT
        * EXCLUDE (liquidated_after_minutes),
        unnest({ladder}::DOUBLE[{leverages}]) AS leverage,
        unnest(range(1, {leverages} + 1)) AS place,
        unnest(liquidated_after_minutes) AS after_minutes
    FROM position_cohorts
) AS c
WHERE c.place <= c.leverages;
COMMENT ON COLUMN position_cells.leverage IS 'assumed leverage [x]';
COMMENT ON COLUMN position_cells.liquidation_price IS 'price at which the exchange liquidates [USD]';
COMMENT ON COLUMN position_cells.contracts_opened IS 'estimated amount opened at this leverage [contracts]';
COMMENT ON COLUMN position_cells.liquidated_at IS 'closing instant of the bar that touched the liquidation price; null while alive [UTC]';
