-- Stored narrow, a column for each cell: neighbouring bars end alike, and compress to two fifths of a list's bytes.
CREATE TABLE IF NOT EXISTS cohorts (
    symbol VARCHAR NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    side VARCHAR NOT NULL,
    contracts_opened DOUBLE NOT NULL,
    maintenance_margin_rate DOUBLE NOT NULL,
    leverages INTEGER NOT NULL,
    cells INTEGER NOT NULL,
    ends STRUCT({cell_columns}) NOT NULL
);
COMMENT ON TABLE cohorts IS 'What position_cohorts stores; its entry price is that of oi_delta.';

CREATE OR REPLACE VIEW position_cohorts AS
SELECT
    c.symbol,
    c.opened_at,
    c.side,
    d.entry_price,
    c.contracts_opened,
    c.maintenance_margin_rate,
    c.leverages,
    list_slice([{cell_values}], 1, c.cells) AS liquidated_after_minutes
FROM cohorts AS c
JOIN oi_delta AS d ON d.symbol = c.symbol AND d.ts = c.opened_at;
COMMENT ON VIEW position_cohorts IS 'Estimated positions: what opened in one bar, on one side, and what became of it at each leverage and entry price. The view position_cells has a row for each.';
COMMENT ON COLUMN position_cohorts.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN position_cohorts.opened_at IS 'closing instant of the bar in which the positions opened [UTC]';
COMMENT ON COLUMN position_cohorts.side IS 'long or short';
COMMENT ON COLUMN position_cohorts.entry_price IS 'volume-weighted average price of the bar of opening [USD]';
COMMENT ON COLUMN position_cohorts.contracts_opened IS 'estimated amount opened, an equal share at each of its leverages; from 50x on, 15 % of that at the low and at the high of the bar each; churn included [contracts]';
COMMENT ON COLUMN position_cohorts.maintenance_margin_rate IS 'rate of the first bracket on that day [1]';
COMMENT ON COLUMN position_cohorts.leverages IS 'how many leverages the brackets of that day allow: the lowest ones of the ladder [1]';
COMMENT ON COLUMN position_cohorts.liquidated_after_minutes IS 'by leverage, then for leverages from 50x on at the low, then at the high of the bar: from opened_at to the closing instant of the bar that touched the liquidation price; null while alive [minutes]';

-- Everything about a cell follows from its row above, with the formula of model/margin.py: the same bits.
CREATE OR REPLACE VIEW position_cells AS
SELECT
    c.symbol,
    c.opened_at,
    c.side,
    c.leverage,
    c.entry,
    c.entry_price,
    CASE c.side
        WHEN 'long' THEN c.entry_price * (1 - 1 / c.leverage) / (1 - c.maintenance_margin_rate)
        ELSE c.entry_price * (1 + 1 / c.leverage) / (1 + c.maintenance_margin_rate)
    END AS liquidation_price,
    c.contracts_opened * ((1::DOUBLE / c.leverages) * c.share) AS contracts_opened,
    c.opened_at + to_minutes(c.after_minutes) AS liquidated_at
FROM (
    SELECT
        u.* EXCLUDE (entry_price, share),
        -- A list as short as the ladder is of version 1 of the model: all of it enters at the VWAP.
        CASE WHEN u.cells = {leverages} THEN 1 ELSE u.share END AS share,
        CASE u.entry WHEN 'vwap' THEN u.entry_price WHEN 'low' THEN k.low ELSE k.high END AS entry_price
    FROM (
        SELECT
            * EXCLUDE (liquidated_after_minutes),
            unnest({cell_leverages}::DOUBLE[]) AS leverage,
            unnest({cell_places}) AS place,
            unnest({cell_entries}) AS entry,
            unnest({cell_shares}::DOUBLE[]) AS share,
            unnest(liquidated_after_minutes) AS after_minutes,
            unnest(range(1, {cells} + 1)) AS cell,
            len(liquidated_after_minutes) AS cells
        FROM position_cohorts
    ) AS u
    JOIN klines AS k ON k.symbol = u.symbol AND k.ts = u.opened_at
    WHERE u.cell <= u.cells AND u.place < u.leverages
) AS c;
COMMENT ON COLUMN position_cells.leverage IS 'assumed leverage [x]';
COMMENT ON COLUMN position_cells.entry IS 'price of the bar at which it opened: vwap, low or high';
COMMENT ON COLUMN position_cells.liquidation_price IS 'price at which the exchange liquidates [USD]';
COMMENT ON COLUMN position_cells.contracts_opened IS 'estimated amount opened at this leverage [contracts]';
COMMENT ON COLUMN position_cells.liquidated_at IS 'closing instant of the bar that touched the liquidation price; null while alive [UTC]';
