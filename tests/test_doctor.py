"""The doctor names what is missing, and only what is mandatory makes it fail."""

from __future__ import annotations

import argparse
import importlib.metadata
import re

import pytest

from autograder import doctor, fork_server, sandbox


def run_doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Its exit code and what it printed."""
    code = doctor.run(argparse.Namespace())
    return code, capsys.readouterr().out


def test_a_whole_machine_is_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: sandbox.Tier("namespaces"))
    monkeypatch.setattr(doctor, "browser", lambda: doctor.Finding("Chromium", "Chromium 140"))
    code, output = run_doctor(capsys)
    assert code == 0
    assert "in a sandbox (namespaces)" in output
    assert output.rstrip().endswith("Everything works here: website, labs, grading, tests.")


def test_what_is_missing_comes_with_its_command_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: "Submissions are graded on Linux only.")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    code, output = run_doctor(capsys)
    assert code == 0
    assert re.search(r"^note  grading +can't be done safely here$", output, re.MULTILINE)
    assert "  grading: Submissions are graded on Linux only." in output
    assert "  Chromium: sudo apt-get install chromium" in output
    assert "Everything works" not in output


@pytest.mark.parametrize(
    "finding",
    [
        doctor.python((3, 10, 13)),
        doctor.disk(500_000_000),
        *doctor.pins("numpy==1.0\nno-such-package==1.0\n"),
    ],
    ids=lambda finding: finding.what,
)
def test_findings_to_mend_have_a_remedy(finding: doctor.Finding) -> None:
    assert finding.remedy
    assert not finding.fine
    assert finding.what in doctor.report([finding]).splitlines()[-1]


@pytest.mark.parametrize("user", [0, 1000])
def test_what_helps_in_a_container_is_what_the_handbook_says(
    monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr(fork_server, "_setting", lambda _: "")
    monkeypatch.setattr("os.geteuid", lambda: user)
    page = (doctor.ROOT / "book/instructor/guide/4_security.md").read_text("utf-8")
    command = re.search(r"docker run (--rm .*[^\\]\n)", page.replace("\\\n   ", ""))
    assert command
    said = fork_server.cannot_isolate("no namespaces")
    flags = re.findall(r"--security-opt [^ `]+", said)
    assert flags == re.findall(r"--security-opt \S+", command[1])
    assert len(flags) == 3 and "--cap-add" not in said


def test_mandatory_findings_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "disk", lambda free: doctor.Finding("disk", "0 GB", "x", True))
    code, output = run_doctor(capsys)
    assert code == 1
    assert "MEND  disk" in output


def installed(versions: dict[str, str]) -> object:
    """A stand-in for `importlib.metadata.version`."""

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    return version


def test_pins_compare_versions_without_their_build() -> None:
    pins = "# comment\ntorch==2.13.0\ngymnasium==1.4.0\n"
    same = installed({"torch": "2.13.0+cpu", "gymnasium": "1.4.0"})
    assert [finding.fine for finding in doctor.pins(pins, same)] == [True]  # type: ignore[arg-type]
    other = installed({"torch": "2.12.0", "gymnasium": "1.4.0"})
    (finding,) = doctor.pins(pins, other)  # type: ignore[arg-type]
    assert "torch 2.12.0 (pinned 2.13.0)" in finding.state
    assert not finding.mandatory
    absent = installed({"torch": "2.13.0"})
    found = {finding.what: finding for finding in doctor.pins(pins, absent)}  # type: ignore[arg-type]
    assert found["gymnasium"].mandatory
