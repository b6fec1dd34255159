"""What a student reads after `labkit.check`: each kind of mistake by its name, text and HTML."""

from __future__ import annotations

import copy
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

import labkit
from autograder import discover
from autograder.expected import Expected
from autograder.public_cases import CLINIC_HINT, public_cases
from autograder.spec import Exercise, Mutant
from labkit import checking, session, wire
from labkit.advice import advice
from labkit.compare import compare
from labkit.isolation import MAX_PRINTED, isolated
from labkit.probes import Returns, observe
from labkit.rendering import Block, Fields, Grid, Heading, Marks, Text

TOY = Path(__file__).parent / "toy" / "solutions"
LAB = discover.load("lab00_toy", TOY)
PUBLIC = json.loads(json.dumps(public_cases(Expected(LAB, course_seed=0))))
REFERENCE = vars(LAB.reference)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> session.Session:
    """The toy lab, started in an empty folder."""
    started = session.Session(LAB.name, tmp_path, copy.deepcopy(PUBLIC))
    monkeypatch.setattr(session, "_current", started)
    return started


def examined(lab: session.Session, name: str, **namespace: Any) -> checking.Report:
    return checking.examine(lab, name, namespace)


def both(report: checking.Report) -> tuple[str, str]:
    """The page on one line of plain text, and what a reader of its HTML sees."""
    return " ".join(repr(report.page).split()), visible(report.page._repr_html_())


def visible(html: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(parts).split())


def squeezed(text: str) -> str:
    """Text without what plain text and HTML write in different ways."""
    return re.sub(r"[\s`]", "", text)


# -- right answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.name)
def test_a_right_answer_passes_every_public_group(lab: Any, exercise: Exercise) -> None:
    report = examined(lab, exercise.name, **{exercise.name: exercise.reference})
    assert report.verdict == "pass"
    text, html = both(report)
    assert text.startswith(f"[pass] `{exercise.name}` passes its public cases")
    for group in exercise.groups:
        assert (f"pass {group.name}" in text) == group.public
        assert (f"pass {group.name}" in html) == group.public
    assert "FAIL" not in text and "fail" not in html


# -- mistakes ------------------------------------------------------------------------------------


def returns_a_list(logits: Any, temperature: Any) -> Any:
    return list(REFERENCE["softmax"](logits, temperature))


def keeps_an_axis(logits: Any, temperature: Any) -> Any:
    return REFERENCE["softmax"](logits, temperature)[None]


def returns_whole_numbers(logits: Any, temperature: Any) -> Any:
    return REFERENCE["softmax"](logits, temperature).astype(int)


def returns_nothing(logits: Any, temperature: Any) -> Any:
    REFERENCE["softmax"](logits, temperature)


def prints(logits: Any, temperature: Any) -> Any:
    print("the answer is", REFERENCE["softmax"](logits, temperature).shape)


def yields_nan(logits: Any, temperature: Any) -> Any:
    return REFERENCE["softmax"](logits, temperature) * np.array([1.0, np.nan, 1.0, 1.0])


def changes_its_input(logits: Any, temperature: Any) -> Any:
    right = REFERENCE["softmax"](logits, temperature)
    logits -= 1
    return right


def loops(logits: Any, temperature: Any) -> Any:
    while temperature != 0:
        temperature = abs(temperature)


def is_off_by_a_third(logits: Any, temperature: Any) -> Any:
    return REFERENCE["softmax"](logits, temperature) + np.array([0, 0, 1 / 3, 0])


def misspells(logits: Any, temperature: Any) -> Any:
    return logits / temprature  # type: ignore[name-defined]  # noqa: F821


def indexes_too_far(logits: Any, temperature: Any) -> Any:
    return logits[7]


def does_not_fit(logits: Any, temperature: Any) -> Any:
    return logits + np.zeros(3)


def forgets_an_argument(logits: Any, temperature: Any) -> Any:
    return REFERENCE["softmax"](logits)


def exits(logits: Any, temperature: Any) -> Any:
    raise SystemExit(3)


def renames(x: Any, temperature: Any) -> Any:
    return x


def wants_more(logits: Any, temperature: Any, base: Any) -> Any:
    return logits


def a_stub(logits: Any, temperature: Any) -> Any:
    raise NotImplementedError


MISTAKES: list[tuple[Any, list[str]]] = [
    (
        returns_a_list,
        ["The return value is a list, but should be a numpy array of shape (4,) and dtype float64"],
    ),
    (
        keeps_an_axis,
        ["The return value has shape (1, 4), but should have (4,)", "Look at: Print the `.shape`"],
    ),
    (returns_whole_numbers, ["The return value holds int values, but should hold float values"]),
    (
        returns_nothing,
        ["The return value is None: is a `return` statement missing? ", "end in `return ...`"],
    ),
    (
        prints,
        ["`softmax` prints its answer, but returns nothing", "printed the answer is (4,)"],
    ),
    (
        yields_nan,
        ["The return value is not a number: 1 of its 4 numbers are NaN", "Look at: NaN comes from"],
    ),
    (changes_its_input, ["It changes its input `logits`: work on a copy.", "x.copy()"]),
    (
        loops,
        ["`softmax` did not finish within 0.05 s: it was stopped in line ", "Which condition ends"],
    ),
    (is_off_by_a_third, ["The return value is ", " at [2], expected "]),
    (misspells, ["`softmax` stopped with a NameError in line ", "`temprature` has no value"]),
    (
        indexes_too_far,
        ["with an IndexError in line ", "`return logits[7]`", "Axis 0 has 4 entries, counted from"],
    ),
    (does_not_fit, ["with a ValueError", "shapes (4,) (3,)", "counted from the right"]),
    (forgets_an_argument, ["with a TypeError in line ", "leaves out an argument"]),
    (exits, ["with a SystemExit in line", "`return` ends the function alone"]),
    (
        renames,
        [
            "`softmax` cannot be run yet `softmax` has no parameter `logits` and wants `x`, which "
            "nobody passes. It will be called as `softmax(logits, temperature)`"
        ],
    ),
    (wants_more, ["wants `base`, which nobody passes"]),
    (2.5, ["`softmax` is not a function now, but a value of type float"]),
]


@pytest.mark.parametrize(
    ("answer", "sentences"), MISTAKES, ids=[getattr(a, "__name__", "value") for a, _ in MISTAKES]
)
def test_a_mistake_is_named(lab: Any, answer: Any, sentences: list[str]) -> None:
    lab.public["exercises"][lab.names.index("softmax")]["time_limit"] = 0.05
    report = examined(lab, "softmax", softmax=answer)
    assert report.verdict == "fail"
    text, html = both(report)
    for sentence in sentences:
        assert sentence in text
        assert squeezed(sentence) in squeezed(html)
    assert "[FAIL]" in text


def test_the_first_failing_input_is_shown_with_got_and_expected(lab: Any) -> None:
    report = examined(lab, "softmax", softmax=is_off_by_a_third)
    text = repr(report.page)
    case = wire.decode(lab.item("softmax")["groups"][0]["cases"][0]["input"])
    right = REFERENCE["softmax"](**case)
    assert "First failing input: probabilities" in text
    assert f"temperature  {case['temperature']:.6g}" in text
    _, got, _, expected, *_ = text.partition("\n  got")[2].splitlines()
    assert got.split() == [
        *(f"{number:.6g}" for number in right[:2]),
        f">{right[2] + 1 / 3:.6g}<",
        f"{right[3]:.6g}",
    ]
    assert expected.split()[2] == f">{right[2]:.6g}<"
    marked = re.findall(r"<td[^>]*underline[^>]*>([^<]*)</td>", report.page._repr_html_())
    assert marked == [f"{right[2] + 1 / 3:.6g}", f"{right[2]:.6g}"]


def test_of_a_large_array_only_what_differs_is_shown(lab: Any) -> None:
    case = {"values": np.arange(300.0).reshape(30, 10)}
    expected = np.arange(300.0).reshape(30, 10)
    packed = {
        "input": wire.encode(case),
        "expected": wire.encode(observe(lambda values: expected, Returns(), case)),
    }
    exercise = lab.public["exercises"][0]
    exercise["groups"] = [{"name": "large", "probe": wire.encode(Returns()), "cases": [packed]}]

    def nearly(values: Any) -> Any:
        values = values.copy()
        values[17, 3] = values[29, 9] = -1
        return values

    text, html = both(examined(lab, exercise["name"], **{exercise["name"]: nearly}))
    assert "[17, 3] got -1, expected 173 [29, 9] got -1, expected 299" in text
    assert "[17, 3] got -1, expected 173" in html
    assert "array of shape (30, 10)" in text and len(text) < 1500


def test_numbers_that_are_close_are_shown_apart(lab: Any) -> None:
    def discounted_return(rewards: Any, gamma: float) -> float:
        return 3.000004

    text = repr(examined(lab, "discounted_return", discounted_return=discounted_return).page)
    assert "The return value is 3.000004, expected 3." in text
    assert "got       3.000004" in text

    def softmax(logits: Any, temperature: float) -> Any:
        return REFERENCE["softmax"](logits, temperature) + np.array([1e-7, 0, 0, 0])

    lab.public["exercises"][lab.names.index("softmax")] |= {"rtol": 1e-9, "atol": 0.0}
    case = wire.decode(lab.item("softmax")["groups"][0]["cases"][0]["input"])
    right = REFERENCE["softmax"](**case)[0]
    text = repr(examined(lab, "softmax", softmax=softmax).page)
    assert f">{right + 1e-7:.9g}<" in text and f">{right:.9g}<" in text


def test_an_array_that_should_change_in_place_and_does_not(lab: Any) -> None:
    def decay_traces(traces: Any, obs: int, *, decay: float) -> None:
        traces = traces * decay
        traces[obs] += 1.0

    del lab.public["exercises"][lab.names.index("decay_traces")]["hints"]["copies"]
    text, html = both(examined(lab, "decay_traces", decay_traces=decay_traces))
    assert "`traces` after the call is " in text
    assert "`traces` is as it was before the call. Change the array itself" in text
    assert "traces is as it was before the call." in html


def test_a_traced_class_is_shown_as_calls(lab: Any) -> None:
    class RunningMean(REFERENCE["RunningMean"]):  # type: ignore[misc]
        def seen(self) -> int:
            return 7

    text, _ = both(examined(lab, "RunningMean", RunningMean=RunningMean))
    assert "The result of call 3, `seen` is 7, expected 2." in text
    assert re.search(
        r"running_mean = RunningMean\(start=5\) running_mean.update\(number=[-\d.]+\)", text
    )
    assert "failing_input" not in text


def test_a_class_without_a_method_and_a_function_for_a_class(lab: Any) -> None:
    class RunningMean:
        def __init__(self, start: float) -> None: ...

        def update(self, number: float) -> float:
            return number

    text, _ = both(examined(lab, "RunningMean", RunningMean=RunningMean))
    assert "The class `RunningMean` lacks the method `seen`." in text
    text, _ = both(examined(lab, "RunningMean", RunningMean=lambda start: None))
    assert "`RunningMean` should be a class, but it is a function." in text


def test_what_is_not_written_yet_is_no_failure(lab: Any) -> None:
    report = examined(lab, "softmax", softmax=a_stub)
    assert report.verdict == "open"
    text, _ = both(report)
    assert re.match(r"\[open\] `softmax` is not written yet: line \d+ still says `raise NotI", text)
    report = examined(lab, "softmax")
    assert (report.verdict, "`softmax` is not defined: run the cell" in repr(report.page)) == (
        "open",
        True,
    )


def test_after_an_endless_loop_no_more_cases_are_run(lab: Any) -> None:
    calls = []

    def softmax(logits: Any, temperature: Any) -> Any:
        calls.append(temperature)
        loops(logits, 1.0)

    lab.public["exercises"][lab.names.index("softmax")]["time_limit"] = 0.05
    text, _ = both(examined(lab, "softmax", softmax=softmax))
    assert len(calls) == 1
    assert "FAIL probabilities out of time open bad input not run" in text


# -- known mistakes ------------------------------------------------------------------------------

MUTANTS = [(exercise, mutant) for exercise in LAB.exercises for mutant in exercise.mutants]


@pytest.mark.parametrize(
    ("exercise", "mutant"), MUTANTS, ids=[f"{e.name}-{m.name}" for e, m in MUTANTS]
)
def test_a_known_mistake_gets_its_hint(lab: Any, exercise: Exercise, mutant: Mutant) -> None:
    expected = Expected(LAB, course_seed=0)
    pairs = [
        pair
        for group, seen in zip(
            expected.groups(exercise), expected.mutant(exercise, mutant.name), strict=True
        )
        if group.group.public
        for pair in zip(seen, group.right, strict=True)
    ]
    differs = any(compare(*pair, exercise.tolerance) is not None for pair in pairs)
    answer = LAB.mutated(exercise, mutant)
    text, html = both(examined(lab, exercise.name, **{exercise.name: answer}))
    hint = CLINIC_HINT if mutant.name == exercise.clinic else mutant.hint
    assert (f"Hint: {hint}" in text) == differs
    assert (f"Hint: {hint}" in html) == differs


def test_of_several_known_mistakes_each_is_named_as_possible(lab: Any) -> None:
    item = lab.public["exercises"][lab.names.index("discounted_return")]
    item["hints"]["twin"] = "The twin's <hint>."
    for case in item["groups"][0]["cases"]:
        case["mutants"]["twin"] = case["mutants"]["undiscounted"]
    text, html = both(examined(lab, item["name"], discounted_return=lambda rewards, gamma: 7.0))
    assert "Hint: it may be one of these. - Later rewards count for less. - The twin's <h" in text
    assert "- The twin's <hint>." in html


def test_another_mistake_gets_no_hint(lab: Any) -> None:
    text, _ = both(
        examined(lab, "discounted_return", discounted_return=lambda rewards, gamma: 6.99)
    )
    assert "Hint" not in text
    assert "The return value is 6.99, expected 3." in text


# -- predictions, letters, training --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "verdict", "sentence"),
    [
        ("effective_horizon", 3, "pass", "is a number. Whether it is right shows in the grade."),
        ("effective_horizon", np.array([10.0]), "pass", "is a number. Whether it is right"),
        ("effective_horizon", "10", "fail", "should be one number, like `effective_horizon = 0.5`"),
        ("effective_horizon", True, "fail", "should be one number"),
        ("effective_horizon", float("nan"), "fail", "should be a finite number; it is nan"),
        ("effective_horizon", [1, 2], "fail", "should be one number"),
        ("effective_horizon", ..., "open", "is not answered yet"),
        ("best_temperature", " b", "pass", "is the letter B. Whether it is right shows in"),
        ("best_temperature", "D", "fail", "should be one of the letters A, B, C"),
        ("best_temperature", 2, "fail", "should be one of the letters A, B, C"),
        ("best_temperature", None, "open", "is not answered yet"),
    ],
)
def test_a_prediction_is_judged_by_its_form_alone(
    lab: Any, name: str, value: Any, verdict: str, sentence: str
) -> None:
    report = examined(lab, name, **{name: value})
    assert report.verdict == verdict
    assert sentence in " ".join(repr(report.page).split())


def _line(**changed: Any) -> Callable[..., Any]:
    def fit_line(x: Any, y: Any) -> Any:
        return {"slope": np.array(0.0), "intercept": 0.5} | changed

    return fit_line


@pytest.mark.parametrize(
    ("answer", "verdict", "sentence"),
    [
        (_line(), "pass", "`fit_line` has the right form: `slope` (), `intercept` ()."),
        (_line(slope=np.zeros(2)), "fail", "`slope` has shape (2,), but should have ()"),
        (_line(slope=np.inf), "fail", "`slope` holds numbers that are not finite"),
        (_line(slope="steep"), "fail", "`slope` is not an array of numbers"),
        (_line(offset=1), "fail", "it holds `offset` beyond what is asked for"),
        (lambda x, y: {"slope": 1.0}, "fail", "it lacks `intercept`"),
        (lambda x, y: 1.0, "fail", "it should be a dictionary of arrays, but is a float"),
        (lambda x: {}, "fail", "`fit_line` has no parameter `y`"),
        (lambda x, y: x[99], "fail", "stopped with an IndexError"),
    ],
)
def test_a_trained_outcome_is_judged_by_its_form(
    lab: Any, answer: Any, verdict: str, sentence: str
) -> None:
    report = examined(lab, "fit_line", fit_line=answer)
    assert report.verdict == verdict
    assert sentence in " ".join(repr(report.page).split())


def test_an_artifact_is_judged_by_its_form(lab: Any, tmp_path: Path) -> None:
    def verdict() -> tuple[str, str]:
        report = examined(lab, "bandit")
        return report.verdict, " ".join(repr(report.page).split())

    assert verdict()[0] == "open" and "`bandit.safetensors` is not there" in verdict()[1]
    labkit.save_artifact("bandit.safetensors", {"values": np.zeros(4)})
    assert verdict()[0] == "fail"
    assert "`values` has shape (4,), but should have (5,)" in verdict()[1]
    (tmp_path / "bandit.safetensors").write_bytes(b"nonsense")
    assert verdict()[0] == "fail" and "cannot be used, it is damaged" in verdict()[1]
    labkit.save_artifact("bandit.safetensors", {"values": torch.zeros(5)})
    assert verdict()[0] == "pass" and "`values` (5,)" in verdict()[1]


# -- the notebook around it ----------------------------------------------------------------------


def test_a_check_leaves_the_students_random_numbers_alone(lab: Any) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    def seed() -> None:
        labkit.seed_everything(5)

    seed()
    undisturbed = [draws() for _ in range(3)]
    seed()
    disturbed = []
    for answer in (REFERENCE["softmax"], loops, lambda logits, temperature: draws()):
        disturbed.append(draws())
        lab.public["exercises"][lab.names.index("softmax")]["time_limit"] = 0.05
        examined(lab, "softmax", softmax=answer)
    assert disturbed == undisturbed


def test_what_the_function_prints_is_caught_and_bounded(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def softmax(logits: Any, temperature: Any) -> Any:
        print("x" * 10 * MAX_PRINTED)
        print("to stderr", file=sys.stderr)
        return REFERENCE["softmax"](logits, temperature)

    assert examined(lab, "softmax", softmax=softmax).verdict == "pass"
    assert capsys.readouterr() == ("", "")
    labkit.seed_everything(0)

    def wrong(logits: Any, temperature: Any) -> Any:
        softmax(logits, temperature)

    text = repr(examined(lab, "softmax", softmax=wrong).page)
    assert "xxx ..." in text and len(text) < 3000
    with isolated() as printed:
        for _ in range(3):
            print("x" * (MAX_PRINTED - 7))
    assert len(printed.text) == MAX_PRINTED


def test_everything_a_student_writes_is_escaped(lab: Any) -> None:
    class Evil:
        def __repr__(self) -> str:
            return "<script>alert(1)</script>"

    def raises(logits: Any, temperature: Any) -> Any:
        raise ValueError("<script>alert(1)</script>")

    def prints_it(logits: Any, temperature: Any) -> Any:
        print("<script>alert(1)</script>")

    for answer in (raises, prints_it, lambda logits, temperature: Evil()):
        html = examined(lab, "softmax", softmax=answer).page._repr_html_()
        assert "<script" not in html
        assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "block",
    [
        Heading("note", "<b>"),
        Text("<b>", label="<i>"),
        Text("`<b>`"),
        Marks([("pass", "<b>", "<i>")]),
        Fields([("<b>", "<i>")]),
        Grid("<b>", [["<i>", "<u>"]], [[True, False]]),
    ],
    ids=lambda block: type(block).__name__,
)
def test_every_block_escapes_its_text(block: Block) -> None:
    assert not re.search("<[biu]>", block.html())
    assert "&lt;b&gt;" in block.html()


def test_the_failing_input_can_be_called_with(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "softmax", changes_its_input)
    labkit.check("softmax")
    first = labkit.failing_input()
    first["logits"][:] = 0
    again = labkit.failing_input()
    assert again["logits"].any()
    assert changes_its_input(**again).shape == (4,)
    monkeypatch.setitem(globals(), "softmax", REFERENCE["softmax"])
    labkit.check("softmax")
    with pytest.raises(LookupError):
        labkit.failing_input()


def test_progress_counts_exercises_and_points(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(name: str, value: Any) -> str:
        monkeypatch.setitem(globals(), name, value)
        labkit.check(name)
        return capsys.readouterr().out.split("So far: ")[1]

    assert said("softmax", REFERENCE["softmax"]).startswith(
        "1 of 11 exercises, 3 of 21 points within reach. The grader runs more"
    )
    assert said("effective_horizon", 1).startswith("2 of 11 exercises, 4 of 21 points")
    assert said("softmax", prints).startswith("1 of 11 exercises, 1 of 21")
    lab.ready |= dict.fromkeys(lab.names, True)
    assert "everything passes here. 2 more for written answers, graded by hand." in " ".join(
        said("softmax", REFERENCE["softmax"]).split()
    )


def test_under_nbgrader_a_failure_is_raised(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(name: str, value: Any) -> None:
        monkeypatch.setitem(globals(), name, value)
        labkit.check(name)

    check("softmax", prints)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    check("softmax", REFERENCE["softmax"])
    check("effective_horizon", 1.0)
    with pytest.raises(AssertionError, match="prints its answer, but returns nothing"):
        check("softmax", prints)
    with pytest.raises(AssertionError, match="not written yet"):
        check("softmax", a_stub)
    with pytest.raises(AssertionError, match="has no exercise"):
        labkit.check("sofmax")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check("softmax", REFERENCE["softmax"])
    with pytest.raises(AssertionError, match="nbgrader_config"):
        check("effective_horizon", 1.0)  # its form is right, no one knows about its value
    monkeypatch.setattr(session, "_current", None)
    with pytest.raises(AssertionError, match="No lab is started yet"):
        labkit.check("softmax")


def test_a_name_that_the_lab_does_not_have(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    labkit.check("sofmax")
    out = capsys.readouterr().out
    assert "This lab has no exercise `sofmax`. Did you mean `softmax`?" in out
    assert "`discounted_return`" in out


# -- start ---------------------------------------------------------------------------------------


def _write(folder: Path, lab: str = LAB.name) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / session.PUBLIC_CASES).write_text(json.dumps(PUBLIC | {"lab": lab}))


@pytest.mark.parametrize("where", [".", LAB.name, f"labs/{LAB.name}", f"../{LAB.name}"])
def test_start_finds_the_lab(where: str, lab: Any, monkeypatch: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    _write(here / where)
    text = repr(session.started(LAB.name))
    assert text.startswith("[note] A toy lab: ready, on ")
    assert session.current().folder.resolve() == (here / where).resolve()
    assert session.current().public == PUBLIC


def test_start_says_what_to_do_where_the_lab_is_not(
    lab: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, "lab07_other")
    text = " ".join(repr(session.started(LAB.name)).split())
    assert text.startswith("[FAIL] `lab00_toy` is not complete here The file public_cases.json of")
    assert "download the whole folder" in text
    (tmp_path / session.PUBLIC_CASES).write_text("{")
    text = " ".join(repr(session.started(LAB.name)).split())
    assert "is damaged: download the lab again" in text


def test_start_is_quiet_while_a_submission_is_graded(
    monkeypatch: Any, tmp_path: Path, lab: Any, capsys: Any
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.setattr(session, "_current", None)
    monkeypatch.chdir(tmp_path)
    session.start(LAB.name)  # the grader keeps the public cases to itself
    _write(tmp_path)
    session.start(LAB.name)
    assert capsys.readouterr().out == ""
    assert session.current().lab == LAB.name


def test_a_check_before_start_finds_the_lab_in_its_own_folder(
    monkeypatch: Any, tmp_path: Path, lab: Any
) -> None:
    monkeypatch.setattr(session, "_current", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(session.LabNotFoundError, match="run the notebook's first cell"):
        session.current()
    _write(tmp_path)
    assert session.current().lab == LAB.name


def test_start_names_what_is_too_old_or_missing(monkeypatch: Any, tmp_path: Path, lab: Any) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path)
    assert repr(session.started(LAB.name)).count("\n") == 0
    needed = ["numpy>=99", "no-such-package>=1", "torch>=1", 'pytest>=99; python_version < "3"']
    monkeypatch.setattr(session.importlib.metadata, "requires", lambda name: needed)
    problems = repr(session.started(LAB.name)).splitlines()[1:]
    assert problems == [
        f'numpy {np.__version__} is too old: run `pip install -U "numpy>=99"`.',
        "no-such-package is missing: run `pip install no-such-package`.",
    ]


def test_importing_labkit_imports_little() -> None:
    heavy = "{'torch', 'numpy', 'IPython', 'matplotlib', 'gymnasium', 'tqdm'}"
    code = f"import sys, labkit; print(*sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_every_public_name_is_there() -> None:
    for name in labkit.__all__:
        assert callable(getattr(labkit, name))
    assert sorted(name for names in labkit._HOMES.values() for name in names) == labkit.__all__
    with pytest.raises(AttributeError):
        labkit.no_such_name  # noqa: B018


# -- advice --------------------------------------------------------------------------------------

ARRAY, TENSOR = np.zeros((3, 4)), torch.zeros(3)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: ARRAY[5], "Axis 0 has 3 entries"),
        (lambda: TENSOR[7], "Axis 0 has 3 entries"),
        (lambda: ARRAY[1, 2, 3], "The array has 2 axes, and this line gives 3 indices"),
        (lambda: ARRAY[1.0], "must be a whole number"),
        (lambda: ARRAY[ARRAY], "must be a whole number"),
        (lambda: [1][3], "points past the end"),
        (lambda: ARRAY + np.zeros(3), "counted from the right"),
        (lambda: TENSOR + torch.zeros(4), "counted from the right"),
        (lambda: bool(ARRAY), "neither true nor false"),
        (lambda: bool(TENSOR), "neither true nor false"),
        (lambda: ARRAY @ ARRAY, "matrix product"),
        (lambda: torch.zeros(3, 4) @ torch.zeros(3, 4), "matrix product"),
        (lambda: ARRAY.__setitem__((0, 0), np.zeros(2)), "One entry of an array takes one number"),
        (lambda: np.zeros(0).max(), "nothing to reduce"),
        (lambda: max([]), "nothing to reduce"),
        (lambda: float(ARRAY), "A whole array stands where one number"),
        (lambda: TENSOR.double() @ TENSOR, "different dtypes"),
        (lambda: TENSOR.sum().backward(), "No gradient reaches"),
        (lambda: REFERENCE.get("nothing")[0], "Something in this line is None"),
        (lambda: len(None), "Something in this line is None"),  # type: ignore[arg-type]
        (lambda: None.copy(), "before `.copy` is None"),  # type: ignore[attr-defined]
        (lambda: ARRAY.foo, "A numpy.ndarray has no `foo`"),  # type: ignore[attr-defined]
        (lambda: np.foo, "check its spelling"),  # type: ignore[attr-defined]
        (lambda: ARRAY(1), "this is a numpy.ndarray. Square brackets"),  # type: ignore[operator]
        (lambda: 1 + "a", "`+` does not work between `int` and `str`"),  # type: ignore[operator]
        (lambda: (lambda a: a)(), "leaves out an argument"),  # type: ignore[call-arg]
        (lambda: (lambda a: a)(1, 2), "passes too many arguments"),  # type: ignore[call-arg]
        (lambda: (lambda a: a)(a=1, b=2), "no parameter `b`"),  # type: ignore[call-arg]
        (lambda: {}["x"], "print its `.keys()`"),
        (lambda: 1 / 0, "divided by zero"),
        (lambda: np.linalg.foo, "check its spelling"),  # type: ignore[attr-defined]
        (lambda: __import__("no_such_module"), "the grader has no others"),
        (lambda: jnp.zeros(3), "`jnp` has no value"),  # type: ignore[name-defined]  # noqa: F821
        (lambda: plt.plot(), "`plt` is not imported yet"),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_an_exception_comes_with_what_to_look_at(function: Callable[[], Any], words: str) -> None:
    error = observe(function, Returns(), {}).error
    assert error is not None
    assert words in advice(error), f"{error.type_name}: {error.message}"


def test_unpacking_an_environments_step() -> None:
    def two() -> None:
        _a, _b = (1, 2, 3, 4, 5)

    error = observe(two, Returns(), {}).error
    assert error is not None
    assert "obs, reward, terminated, truncated, info" in advice(error)


# -- a real notebook -----------------------------------------------------------------------------


def _executed(folder: Path, cells: list[str]) -> list[list[Mapping[str, Any]]]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return [cell.outputs for cell in notebook.cells]


def test_in_a_notebook_each_check_is_shown_once_and_rich(tmp_path: Path) -> None:
    _write(tmp_path)
    started, _, right, _, broken, endless = _executed(
        tmp_path,
        [
            f'import labkit\nlabkit.start("{LAB.name}")',
            "def discounted_return(rewards, gamma):\n"
            "    return float(sum(r * gamma**t for t, r in enumerate(rewards)))",
            'labkit.check("discounted_return")',
            "def discounted_return(rewards, gamma):\n    print('<b>')\n    return rewards[gamma]",
            'labkit.check("discounted_return")',
            "labkit.current = labkit.session.current()\n"
            "labkit.current.public['exercises'][0]['time_limit'] = 0.1\n"
            "def discounted_return(rewards, gamma):\n"
            "    while True:\n        try:\n            pass\n        except Exception:\n"
            "            pass\n"
            'labkit.check("discounted_return")',
        ],
    )
    for outputs in (started, right, broken, endless):
        assert [output["output_type"] for output in outputs] == ["display_data"]
        assert {"text/html", "text/plain"} <= outputs[0]["data"].keys()
    assert "A toy lab: ready" in started[0]["data"]["text/plain"]
    assert right[0]["data"]["text/plain"].startswith("[pass] `discounted_return`")
    assert "1 of 11 exercises" in visible(right[0]["data"]["text/html"])
    text = broken[0]["data"]["text/plain"]
    assert "an IndexError in line 3: `return rewards[gamma]`" in text
    assert "printed  <b>" in text
    assert "&lt;b&gt;" in broken[0]["data"]["text/html"]
    assert "did not finish within 0.1 s: it was stopped in line 4" in " ".join(
        endless[0]["data"]["text/plain"].split()
    )
