"""Every finding stays found, every target works, and the harness sees what it is there to see."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from liq_pipeline.errors import FormatError
from liq_pipeline_tests.fuzz import harness
from liq_pipeline_tests.fuzz.harness import Broken, Tally, Target, cases_of, fault_of, find_targets, shoot
from liq_pipeline_tests.fuzz.mutators import MUTATORS, mutate

pytestmark = pytest.mark.whole_run


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return find_targets(tmp_path_factory.mktemp("fuzz"))


def test_good_inputs_are_accepted_by_every_target(found: list[Target]) -> None:
    for target in found:
        if target.name == "rest-headers":  # a date is no number of seconds, and the other way round
            continue
        fault, accepted, _ = fault_of(target, target.seeds[0])
        assert (fault, accepted) == ("", True), target.name


def test_what_was_found_once_is_not_found_again(found: list[Target]) -> None:
    known = {target.name for target in found}
    assert {folder.name for folder in harness.CASES.iterdir() if folder.is_dir()} <= known
    for target in found:
        for case in cases_of(target):
            fault, _, seconds = fault_of(target, case.read_bytes())
            assert not fault, f"{target.name}: {case.name}: {fault}"
            assert seconds < harness.MOST_SECONDS, case.name


def test_a_short_run_of_every_target_finds_nothing(found: list[Target]) -> None:
    for target in found:
        tally = Tally(target.name)
        shoot(target, Random(20261126), tally, 150, time.perf_counter() + 300)
        assert not tally.broken, tally.line()
        assert tally.accepted + tally.refused == tally.inputs == 150


class TestTheHarness:
    @pytest.fixture(autouse=True)
    def _own_cases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(harness, "CASES", tmp_path)

    def _shot(self, parse) -> Tally:
        tally = Tally("planted")
        shoot(Target("planted", [b"1,2,3"], parse), Random(1), tally, 50, time.perf_counter() + 300)
        return tally

    def test_sees_an_error_that_is_not_ours(self, tmp_path: Path) -> None:
        def parse(data: bytes) -> None:
            if b"2" not in data:
                raise IndexError("planted")

        tally = self._shot(parse)
        assert list(tally.broken) == ["untyped IndexError"]
        kept = list((tmp_path / "planted").glob("*.bin"))
        assert kept
        assert all(b"2" not in case.read_bytes() for case in kept)

    def test_sees_rows_that_cannot_be(self) -> None:
        def parse(data: bytes) -> None:
            raise Broken("planted")

        assert list(self._shot(parse).broken) == ["rows that cannot be"]

    def test_sees_slow_inputs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(harness, "MOST_SECONDS", 0.001)
        assert list(self._shot(lambda data: sum(range(200_000))).broken) == ["slow"]

    def test_sees_large_inputs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(harness, "MOST_BYTES", 32 << 20)
        hogs = iter([harness._peak_bytes() + (200 << 20)])  # once: it is the peak of the process that grows
        assert list(self._shot(lambda data: bytearray(next(hogs, 0))).broken) == ["large"]

    def test_is_content_with_errors_of_ours(self) -> None:
        def parse(data: bytes) -> None:
            raise FormatError("planted")

        tally = self._shot(parse)
        assert not tally.broken
        assert tally.refused == 50


def test_the_same_seed_draws_the_same_inputs() -> None:
    seeds = [b"one,two,3\n4,5,6\n", b"seven"]
    one, other = ([mutate(Random(n), seeds[0], seeds) for n in range(200)] for _ in range(2))
    assert one == other
    assert len(set(one)) > 150


@pytest.mark.parametrize("mutator", MUTATORS)
def test_a_mutator_takes_any_bytes(mutator) -> None:
    for data in (b"x", b"\n", b"\xff" * 9, b"a,b\n1,2\n"):
        assert isinstance(mutator(Random(3), data, [data]), bytes)
