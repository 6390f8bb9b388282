"""What lies in `deploy/` asks for metrics that the service has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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


CLUSTER = FOLDER / "cluster"


def run_tool(*command: object) -> str:
    """Run a tool of the environment; return what it said, which is nothing good where it failed."""
    tool, *arguments = map(str, command)
    done = subprocess.run(
        [Path(sys.executable).with_name(tool), *arguments], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr + f"{tool} failed"


def test_the_compose_file_is_one() -> None:
    assert run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", CLUSTER / "compose.yaml") == ""


def test_the_dockerfile_has_no_known_fault() -> None:
    assert run_tool("hadolint", CLUSTER / "Dockerfile") == ""


def test_the_manifests_are_kubernetes_own() -> None:
    assert run_tool("kubernetes-validate", "--strict", CLUSTER / "kubernetes" / "liq.yaml") == ""


@pytest.mark.parametrize("fault", ["compose", "docker", "kubernetes"])
def test_the_tools_find_a_fault(fault: str, tmp_path: Path) -> None:
    compose, docker, manifest = (tmp_path / name for name in ("compose.yaml", "Dockerfile", "liq.yaml"))
    compose.write_text("services: {worker: {imagee: x}}\n")
    docker.write_text("FROM python\n")
    text = (CLUSTER / "kubernetes" / "liq.yaml").read_text(encoding="utf-8")
    manifest.write_text(text.replace("replicas:", "replica:"))
    commands = {
        "compose": ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose),
        "docker": ("hadolint", docker),
        "kubernetes": ("kubernetes-validate", "--strict", manifest),
    }
    assert run_tool(*commands[fault])


def test_every_process_of_the_compose_file_is_there_and_secrets_have_no_default() -> None:
    text = (CLUSTER / "compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]

    wanted = {"database", "queue", "objects", "code", "webserver", "daemon", "worker", "service", "recorder"}
    assert set(services) == wanted
    assert "${POSTGRES_PASSWORD:?" in text
    assert "${OBJECTS_SECRET:?" in text
    assert {one for name in ("webserver", "service") for one in services[name]["ports"]} == {
        "127.0.0.1:3000:3000", "127.0.0.1:8000:8000"
    }  # fmt: skip
    slots = services["worker"]["deploy"]["replicas"]
    config = yaml.safe_load((CLUSTER / "dagster.yaml").read_text(encoding="utf-8"))
    assert slots == config["concurrency"]["runs"]["max_concurrent_runs"]
