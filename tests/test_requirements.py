"""Dependencies: each has a version range and a documented purpose."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support import ROOT

import ser_core

FILES = sorted([*ROOT.glob("requirements*.txt"), *ROOT.glob("*/requirements*.txt")])


def lines(path: Path) -> list[tuple[Requirement, str]]:
    """Each requirement of a file, and the comment on it."""
    parts = [line.partition("#") for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        (Requirement(name), purpose.strip()) for name, _, purpose in parts if name.strip() and name[0] != "-"
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_dependency_has_a_lowest_and_a_highest_version_and_says_what_it_is_for(path):
    for requirement, purpose in lines(path):
        bounds = {one.operator for one in requirement.specifier}
        assert bounds & {">=", "=="}, requirement
        assert bounds & {"<", "<=", "=="}, requirement
        assert purpose, requirement


def test_the_documentation_says_what_each_dependency_of_the_app_is_for():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("\n| package | for |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines()]
    named = {name.strip() for names, purpose in rows if purpose.strip() for name in names.split(",")}
    assert named == {requirement.name for requirement, _ in lines(ROOT / "requirements.txt")}


def test_linting_looks_for_known_holes():
    assert (
        "pip-audit"
        in (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].split("\n\n")[0]
    )


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def as_declared(requirements: Iterable[Requirement]) -> set[tuple[str, frozenset[str], str]]:
    """Requirements in a form that can be compared."""
    return {(one.name.lower(), frozenset(one.extras), str(one.specifier)) for one in requirements}


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("requirements.txt", [*PROJECT["dependencies"], *EXTRAS["page"]]),
        ("requirements-scale.txt", EXTRAS["scale"]),
        ("train/requirements.txt", EXTRAS["train"]),
    ],
)
def test_requirements_are_those_of_the_package(name, declared):
    assert as_declared(one for one, _ in lines(ROOT / name)) == as_declared(map(Requirement, declared))


def test_a_machine_without_torch_needs_a_part_of_the_package():
    needed = as_declared(one for one, _ in lines(ROOT / "requirements-onnx.txt"))
    assert needed < as_declared(map(Requirement, PROJECT["dependencies"]))
    assert "onnxruntime" in {requirement.name for requirement, _ in lines(ROOT / "requirements-onnx.txt")}


def test_the_version_is_the_same_everywhere():
    assert f"\nversion: {ser_core.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert PROJECT["dynamic"] == ["version"]
