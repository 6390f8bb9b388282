"""What stands in the way of a bar, by hand: between two observations of open interest, too."""

import numpy as np
import pytest

from liq_pipeline.model.exposure import MARGINS, bar_exposure
from liq_pipeline.model.margin import LADDER, liquidation_price
from liq_pipeline.model.walk import WalkParameters, walk
from liq_pipeline_tests.model.markets import flat


@pytest.mark.parametrize(
    ("side", "low", "high", "within"),
    [
        ("long", 89_800, 90_000, [[], [150], [150, 125], [150, 125, 100]]),
        ("long", 89_700, 90_000, [[150], [150, 125], [150, 125], [150, 125, 100]]),
        ("short", 90_000, 90_200, [[], [150], [150, 125], [150, 125, 100]]),
        ("short", 90_000, 90_300, [[150], [150, 125], [150, 125], [150, 125, 100]]),
    ],
)
def test_what_opened_since_the_last_observation_has_turned_over_whether_it_is_touched_or_near(side, low, high, within):
    """Of 1,000 contracts 100 open in each of two bars, over 13 leverages; the second takes 10 % of the first."""
    bars = flat(4, volume=[0, 2_000, 2_000, 0], low=[9e4, 9e4, 9e4, low], high=[9e4, 9e4, 9e4, high])
    walked = walk(bars, "BTCUSDT", WalkParameters(extremes_share=0.0))

    found = bar_exposure(walked, np.array([True, False, False, False]))[side][3].sum(axis=0)

    price = dict(zip(LADDER, liquidation_price(side, 90_000, np.array(LADDER), 0.004), strict=True))
    assert len(within) == len(MARGINS)
    assert found == pytest.approx([(90 + 100) / 13 * sum(price[one] for one in some) for some in within])
