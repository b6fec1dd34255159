"""The commands behind `make`: the sample class, where to look, formgrader."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from autograder import discover, formgrader, places, sample, sandbox
from autograder.__main__ import COMMANDS, main

LAB = "lab02_q_learning_sarsa"
REASON = "Submissions are graded on Linux only: use a container."


@pytest.fixture
def unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no sandbox."""
    monkeypatch.setattr(sandbox, "available", lambda: REASON)


@pytest.mark.usefixtures("unsafe")
def test_the_sample_class_is_left_out_where_it_cannot_be_graded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sample, "HOME", tmp_path / "sample_class")
    assert main(["sample"]) == 0
    assert capsys.readouterr().err == f"The sample class is left out. {REASON}\n"
    assert not (tmp_path / "sample_class").exists()


@pytest.mark.usefixtures("unsafe")
def test_places_say_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["places"]) == 0
    shown = capsys.readouterr().out
    assert f"class reports  left out. {REASON}" in shown
    assert shown.count("left out") == 1
    assert str(places.SITE) in shown


def test_places_name_what_make_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["places"]) == 0
    lines = [line for line in capsys.readouterr().out.split("\n") if line.strip()]
    paths = [Path(re.split(r" {2,}", line[17:])[0]) for line in lines]
    assert len(paths) == 1 + 2 * len(discover.lab_names())
    assert [line.split()[0] for line in lines if line[2] != " "] == ["website", "class", "labs"]
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_every_command_explains_itself(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m autograder")


def test_formgrader_without_a_gradebook_is_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert formgrader.run(argparse.Namespace(course=tmp_path, db_url=None)) == 2
    assert capsys.readouterr().err.count("\n") == 1
