"""An installed package holds what a checkout holds."""

import tomllib
from pathlib import Path


def test_every_file_of_the_package_that_is_not_python_is_packed(repository: Path) -> None:
    package = repository / "liq_pipeline"
    patterns = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    files = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }

    packed = {path for pattern in patterns["liq_pipeline"] for path in package.glob(pattern)}

    assert files <= packed
    assert any(path.name == "oi_delta.sql" and path.parent.name == "queries" for path in packed)
