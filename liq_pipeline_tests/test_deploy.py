"""What lies in `deploy/` asks for metrics that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from liq_pipeline_tests.conftest import REPOSITORY
from liq_pipeline_tests.server.small import publish_small, serve

FOLDER = REPOSITORY / "deploy"


@pytest.fixture
def metrics(tmp_path: Path) -> set[str]:
    """Names in the service's exposition."""
    server, thread, port = serve(publish_small(tmp_path / "published"))
    requests.get(f"http://127.0.0.1:{port}/symbols", timeout=10)
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    server.should_exit = True
    thread.join(10)
    return set(re.findall(r"^(liq_\w+)", text, re.MULTILINE))


def expressions(content: Any) -> list[str]:
    """Return every PromQL expression in a document."""
    if isinstance(content, dict):
        own = [text for name, text in content.items() if name in ("expr", "query") and isinstance(text, str)]
        return own + [text for value in content.values() for text in expressions(value)]
    if isinstance(content, list):
        return [text for value in content for text in expressions(value)]
    return []


@pytest.mark.parametrize("name", ["rules.yml", "grafana.json"])
def test_every_metric_that_is_asked_for_is_there(name: str, metrics: set[str]) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    asked = expressions(json.loads(text) if name.endswith("json") else yaml.safe_load(text))

    named = {found for one in asked for found in re.findall(r"\bliq_\w+", one)}
    assert len(named) >= 4
    assert named <= metrics


def test_the_example_of_prometheus_scrapes_the_service_and_loads_the_rules() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))

    assert all((FOLDER / name).is_file() for name in config["rule_files"])
    assert config["scrape_configs"][0]["job_name"] == "liq"
    assert 'up{job="liq"}' in (FOLDER / "rules.yml").read_text(encoding="utf-8")


def test_every_panel_says_what_it_shows() -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels) >= 6
    for panel in panels:
        if "exposure" in panel["title"]:
            assert panel["title"].startswith("Estimated")
            assert "not a forecast" in panel["description"]
