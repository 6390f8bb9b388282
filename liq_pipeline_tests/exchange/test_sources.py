"""Where data comes from, as a run was told."""

import pytest
from pydantic import BaseModel, ValidationError

from liq_pipeline.exchange.sources import ArchiveSource, RestSource

ARCHIVE = ArchiveSource(location="/archive", listing_url="", raw_dir="/data/raw", bar_minutes=5, since="2026-06-01")
REST = RestSource(url="http://127.0.0.1:9", raw_dir="/data/raw")
FIELDS = [(one, name) for one in (ARCHIVE, REST) for name in type(one).model_fields]


@pytest.mark.parametrize(("source", "field"), FIELDS)
def test_where_data_comes_from_cannot_change_while_a_run_reads_it(source: BaseModel, field: str) -> None:
    before = source.model_dump()

    with pytest.raises(ValidationError, match="frozen"):
        setattr(source, field, before[field])

    assert source.model_dump() == before
    assert hash(source) == hash(source.model_copy())
