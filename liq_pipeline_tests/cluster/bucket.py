"""A bucket of a real S3 store for tests: one server for each process of pytest, a prefix of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from liq_pipeline.system.objects import Objects
from liq_pipeline_tests.cluster.services import BUCKET, Service, make_bucket, object_store, running


@dataclass(frozen=True)
class Bucket:
    """A prefix in a bucket, and the server that holds it."""

    address: str
    server: Service

    def objects(self, patience_seconds: float = 30.0) -> Objects:
        """Open it anew."""
        return Objects(self.address, patience_seconds)


@pytest.fixture(scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    server, variables = object_store(tmp_path_factory.mktemp("objects"))
    with running(server):
        make_bucket(variables)
        yield server, variables


@pytest.fixture
def bucket(_store: tuple[Service, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty place in a real S3 store; its address and key are in the environment, but not LIQ_STORAGE."""
    server, variables = _store
    for name, value in variables.items():
        if name != "LIQ_STORAGE":
            monkeypatch.setenv(name, value)
    return Bucket(f"s3://{BUCKET}/{uuid4().hex}", server)
