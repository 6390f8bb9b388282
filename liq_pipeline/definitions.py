"""What Dagster loads: the wiring, for the settings of this process. Nothing else imports this module."""

from liq_pipeline.orchestration.wiring import build_definitions
from liq_pipeline.settings import load_settings

defs = build_definitions(load_settings())
