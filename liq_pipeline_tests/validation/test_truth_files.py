"""Truth that cannot be used is named: in the rows that are read, in the settings, in the check of the run."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from liq_pipeline.errors import LiqError, NoData, SettingsError
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline.transform.rules.gates import gates_hold
from liq_pipeline.validation.named import NamedTruth
from liq_pipeline.validation.report import report_folder, write_problems
from liq_pipeline.validation.truth import truth_rows

pytestmark = pytest.mark.whole_run

HOURS = pd.date_range("2026-06-18", periods=24, freq="h", tz="UTC")


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"ts": HOURS, "long_usd": 1e6, "short_usd": 2e6} | columns)


class TestFilesThatCannotBeUsed:
    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("empty.csv", b"", "cannot be read"),
            ("header.csv", b"ts,long_usd,short_usd\n", "0 usable rows"),
            ("noise.csv", bytes(range(128, 256)), "cannot be read"),
            ("noise.parquet", b"PAR1 and no more", "cannot be read"),
            ("noise.zip", b"PK", "cannot be unpacked"),
            ("words.csv", b"ts,long_usd,short_usd\n" + b"2026-06-18T00:00:00Z,much,little\n" * 5, "0 usable rows"),
            ("far.csv", b"ts,long_usd,short_usd\n" + b"9e30,1,2\n" * 5, "0 usable rows"),
            (
                "twice.csv",
                b"ts,TS,long_usd,short_usd\n" + b"2026-06-18T00:00:00Z,1,1,2\n" * 5,
                "several columns named",
            ),
            ("sideless.csv", b"ts,usd\n" + b"2026-06-18T00:00:00Z,1\n" * 5, "lacks long_usd or short_usd"),
        ],
    )
    def test_the_error_names_the_file_and_what_was_expected(self, name, content, says, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)

        with pytest.raises(LiqError, match=says) as caught:
            truth_rows(tmp_path / name, "BTCUSDT")

        assert str(tmp_path / name) in str(caught.value)

    def test_a_missing_file_and_an_empty_folder_and_a_name_that_is_too_long_are_typed_too(self, tmp_path) -> None:
        for path in (tmp_path / "no.csv", tmp_path, tmp_path / ("x" * 300)):
            with pytest.raises(LiqError, match=r"does not exist|no Parquet file|cannot be read"):
                truth_rows(path, "BTCUSDT")

    def test_rows_of_another_symbol_are_refused_and_of_several_only_its_own_are_taken(self, tmp_path) -> None:
        table(symbol="ethusdt").to_csv(tmp_path / "eth.csv", index=False)
        both = pd.concat([table(symbol="ETHUSDT"), table(symbol="BTCUSDT", long_usd=5.0)])
        both.to_csv(tmp_path / "both.csv", index=False)

        with pytest.raises(LiqError, match="holds rows of ETHUSDT"):
            truth_rows(tmp_path / "eth.csv", "BTCUSDT")
        assert truth_rows(tmp_path / "both.csv", "BTCUSDT").usd[:, 0].tolist() == [5.0] * 24

    @pytest.mark.parametrize("other", ["ETHUSDT", True, 7])
    def test_rows_without_a_symbol_among_those_of_another_are_of_no_symbol(self, other, tmp_path) -> None:
        table(symbol=[other, None] * 12).to_csv(tmp_path / "some.csv", index=False)

        with pytest.raises(NoData, match=f"holds rows of {str(other).upper()}"):
            truth_rows(tmp_path / "some.csv", "BTCUSDT")


class TestSettings:
    def test_truth_that_no_symbol_uses_is_told_once_with_the_first_symbol(self) -> None:
        settings = Settings(symbols="BTCUSDT,SOLUSDT", truth="ETHUSDT=/x/a.csv,/y/liquidations.csv,/z/btcusdt.csv")

        unknown, nameless = NamedTruth(settings.truth, settings.symbols).problems_of("BTCUSDT")
        assert (
            "ETHUSDT=/x/a.csv: not scored: it is of ETHUSDT, which is not in LIQ_SYMBOLS (BTCUSDT, SOLUSDT)" in unknown
        )
        assert "/y/liquidations.csv: not scored: it is of no symbol in LIQ_SYMBOLS" in nameless
        assert NamedTruth(settings.truth, settings.symbols).problems_of("SOLUSDT") == []

    def test_a_file_whose_name_says_another_symbol_is_odd_and_one_of_its_own_is_not(self) -> None:
        settings = Settings(
            symbols="BTCUSDT", truth="BTCUSDT=/x/ethusdt_30m.csv,BTCUSDT=/x/btcusdt_1h.csv,BTCUSDT=/x/b"
        )

        (odd,) = NamedTruth(settings.truth, settings.symbols).problems_of("BTCUSDT")
        assert "the name of the file says ETHUSDT, and not BTCUSDT" in odd

    def test_a_name_that_begins_with_two_symbols_is_of_the_longer_one(self) -> None:
        settings = Settings(symbols="BTCUSDT,BTCUSDT_260925", truth="/x/btcusdt_260925_1h.csv")

        assert NamedTruth(settings.truth, settings.symbols).files_of("BTCUSDT") == []
        assert NamedTruth(settings.truth, settings.symbols).files_of("BTCUSDT_260925") == [
            Path("/x/btcusdt_260925_1h.csv")
        ]

    def test_an_equals_sign_in_a_path_names_no_symbol(self) -> None:
        settings = Settings(truth="/x/day=3/btcusdt.csv,ETHUSDT=/x/symbol=ETHUSDT/all.csv")

        assert NamedTruth(settings.truth, settings.symbols).files_of("BTCUSDT") == [Path("/x/day=3/btcusdt.csv")]
        assert NamedTruth(settings.truth, settings.symbols).files_of("ETHUSDT") == [Path("/x/symbol=ETHUSDT/all.csv")]

    @pytest.mark.parametrize("item", ["BTCUSDT=", "=/x/truth.csv", "BTCUSDT= "])
    def test_half_an_item_is_refused(self, item: str) -> None:
        with pytest.raises(SettingsError, match="expected SYMBOL=file"):
            load_settings(truth=item)


class TestCheck:
    @staticmethod
    def reported(folder: Path, source: str, **facts: object) -> None:
        place = report_folder(folder, "BTCUSDT", source)
        place.mkdir(parents=True)
        gate = {"number": 1, "statement": "s", "passed": True, "found": "f"}
        facts = {"last_step": "2026-06-01T00:00:00"} | facts
        (place / "validation.json").write_text(json.dumps({"source": source, "gates": [gate], "facts": facts}))

    def test_it_passes_where_all_truth_was_scored(self, subject) -> None:
        self.reported(Path(subject.publisher.folder), "ours")

        assert gates_hold(subject).passed

    def test_it_warns_of_truth_that_was_not_scored_and_says_that_its_old_report_is_older(self, subject) -> None:
        self.reported(Path(subject.publisher.folder), "ours")
        write_problems(
            Path(subject.publisher.folder), "BTCUSDT", {"ours": "/x/ours.csv: not scored: gone."}, ["odd one"]
        )

        outcome = gates_hold(subject)

        assert not outcome.passed
        assert outcome.severity == "WARN"
        assert "/x/ours.csv: not scored: gone. The report in " in outcome.found
        assert "it goes up to 2026-06-01" in outcome.found
        assert "odd one" in outcome.found
        assert outcome.facts == {"gates_passed": 0, "gates_failed": 0, "sources_not_scored": 1}

    def test_it_warns_of_a_recording_without_coverage(self, subject) -> None:
        self.reported(Path(subject.publisher.folder), "recorded", coverage_is_unknown=True)

        assert "without coverage" in gates_hold(subject).found
        assert not gates_hold(subject).passed


@pytest.fixture(scope="module")
def ran(good_run: Settings, tmp_path_factory):
    """A run whose truth is wrong in every way, and one without truth after it: what each found."""
    folder = tmp_path_factory.mktemp("truth")
    table(ts=HOURS - pd.Timedelta(days=400)).to_csv(folder / "btcusdt_old.csv", index=False)
    (folder / "btcusdt_empty.csv").touch()
    (folder / "btcusdt_folder").mkdir()
    named = [folder / f"btcusdt_{name}" for name in ("old.csv", "empty.csv", "folder", "gone.csv")]
    settings = good_run.model_copy(update={"data_dir": folder / "data", "since": date(2026, 6, 25), "pictures": False})
    found = []
    for truth in ((*map(str, named), "SOLUSDT=/x/sol.csv"), ()):
        (result,) = refresh(settings.model_copy(update={"truth": truth}))
        found.append((result, [one for one in result.findings if one.check == "model_passes_its_gates"]))
    return found


class TestRun:
    def test_each_is_named_in_one_warning_and_nothing_else_changes(self, ran) -> None:
        result, (finding,) = ran[0]

        assert result.published
        assert not result.errors
        assert finding.severity == "WARN"
        for text in ("btcusdt_old.csv: not scored", "btcusdt_empty.csv: not scored", "btcusdt_folder: not scored",
                     "btcusdt_gone.csv does not exist", "SOLUSDT, which is not in LIQ_SYMBOLS"):  # fmt: skip
            assert text in finding.text

    def test_without_truth_nothing_is_said_any_more(self, ran) -> None:
        result, findings = ran[1]

        assert result.published
        assert not findings
