"""The referee: what answers earn, however a notebook dies, lies or spies."""

from __future__ import annotations

import json
import pickle
import textwrap
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import safetensors.numpy

from autograder import discover, judging, referee, survivor
from autograder.discover import LoadedLab
from autograder.results import ExerciseResult, SubmissionResult

pytestmark = [pytest.mark.long(1), pytest.mark.needs("sandbox")]

SEED = 7
NAME = "lab00_small"
REFERENCE = '''
"""Small lab."""
import numpy as np


def double(x):
    """Return twice x: zqsecretdoc."""
    return 2.0 * x


def total(values):
    """Return the sum."""
    return float(np.sum(values))


def toss(rng):
    """Return 0 or 1."""
    return int(rng.random() < 0.3)


def fit(level):
    """Return a level."""
    return {"level": np.array([level])}


def trained():
    return {"weights": np.ones(3)}
'''
CHECKS = '''
"""Small lab, checks."""
import numpy as np
from autograder.spec import (
    Choice, Exercise, Gate, Group, Mistake, Mutant, Numeric, Outcome, Samples, Seed,
)
from solutions.lab00_small.reference import double, fit, total, toss, trained


def small(rng):
    yield {"x": 1.5}


def large(rng):
    yield {"x": float(rng.uniform(1e6, 2e6))}
    yield {"x": float(rng.uniform(1e6, 2e6))}


def vectors(rng):
    yield {"values": rng.normal(size=4)}


def tosses(rng):
    yield {"rng": Seed(int(rng.integers(100)))}


def breaks(parameters):
    if (parameters["weights"] < 0).any():
        raise ValueError("negative")
    return float(parameters["weights"].sum())


DOUBLE = Exercise(
    reference=double, points=4, time_limit=1.0,
    groups=(Group("by hand", small, public=True), Group("zqsecretgroup", large, weight=3)),
    mutants=(
        Mutant("zqsecretmutant", old="2.0 * x", new="3.0 * x", hint="Not thrice: zqsecrethint."),
    ),
)
TOTAL = Exercise(
    reference=total, points=3, time_limit=1.0,
    groups=(Group("public", vectors, public=True), Group("hidden", vectors)),
)
TOSS = Exercise(
    reference=toss, points=2, probe=Samples(count=500, categories=2),
    groups=(Group("tosses", tosses, public=True),),
)
LEVEL = Numeric("level", points=1, answer=4.0, tolerance=0.1, mistakes=(Mistake(5.0, "One off."),))
LETTER = Choice("letter", points=1, answer="B", why={"A": "Too early."})
FIT = Outcome(
    "fit", points=2, reference=fit, case={"level": 3.0}, tensors={"level": (1,)}, time_limit=1.0,
    gates=(Gate("level", lambda p: float(p["level"][0]), 2.9, 3.1, "Off zqsecretlevel."),),
)
TRAINED = Outcome(
    "trained", points=2, reference=trained, artifact="trained.safetensors",
    tensors={"weights": (3,)},
    gates=(Gate("sum", breaks, 2.9, 3.1, "Train on."),),
)
'''
RIGHT = {
    "double": "def double(x):\n    return 2.0 * x",
    "total": "def total(values):\n    return float(sum(values))",
    "toss": "def toss(rng):\n    return int(rng.random() < 0.3)",
    "level": "level = 4",
    "letter": "letter = 'b'",
    "fit": "import numpy as np\ndef fit(level):\n    return {'level': np.array([level])}",
    "trained": "pass",
}
STUB = {
    name: f"def {name}(*args, **kwargs):\n    raise NotImplementedError()"
    for name in ("double", "total", "toss", "fit")
} | {"level": "level = ...", "letter": "letter = ...", "trained": "pass"}
ARTIFACT = safetensors.numpy.save({"weights": np.ones(3)})
ORDER = ["double", "total", "toss", "level", "letter", "fit", "trained"]

Cell = dict[str, Any]
Grade = Callable[..., SubmissionResult]


def cell(source: str, grade_id: str = "") -> Cell:
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    return {"cell_type": "code", "source": textwrap.dedent(source), "metadata": metadata}


def cells(answers: Mapping[str, str]) -> list[Cell]:
    """Each answer with its test cell, whose code would end the process, were it run."""
    pairs = [
        (cell(source, name), cell("import os; os._exit(0)", f"test-{name}"))
        for name, source in answers.items()
    ]
    return [each for pair in pairs for each in pair]


def packed(all_cells: list[Cell]) -> bytes:
    return json.dumps({"cells": all_cells, "nbformat": 4}).encode()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LoadedLab:
    folder = tmp_path_factory.mktemp("course") / "solutions" / NAME
    folder.mkdir(parents=True)
    (folder / "lab.md").write_text("---\ntitle: Small\n---\n")
    (folder / "__init__.py").write_text("")
    (folder / "reference.py").write_text(REFERENCE.lstrip())
    (folder / "checks.py").write_text(CHECKS.lstrip())
    return discover.load(NAME, folder.parent)


@pytest.fixture(scope="module")
def grade(lab: LoadedLab) -> Grade:
    def grade(
        answers: Mapping[str, str] | list[Cell],
        artifact: bytes | None = ARTIFACT,
        memory_limit: int = 1024,
        **options: Any,
    ) -> SubmissionResult:
        all_cells = answers if isinstance(answers, list) else cells(answers)
        files = {f"{NAME}.ipynb": packed(all_cells)}
        if artifact is not None:
            files["trained.safetensors"] = artifact
        return referee.grade_submission(
            lab, files, course_seed=SEED, memory_limit=memory_limit, **options
        )

    return grade


def by_name(result: SubmissionResult) -> dict[str, ExerciseResult]:
    return {exercise.name: exercise for exercise in result.exercises}


def statuses(result: SubmissionResult) -> dict[str, str]:
    return {exercise.name: exercise.status for exercise in result.exercises}


def others_ok(result: SubmissionResult, name: str) -> bool:
    return all(status == "ok" for each, status in statuses(result).items() if each != name)


# -- what answers earn ---------------------------------------------------------------------------


def test_right_answers_earn_everything(grade: Grade) -> None:
    result = grade(RIGHT)
    assert statuses(result) == dict.fromkeys(ORDER, "ok")
    assert result.points == 15
    assert result.tier.split("+")[0] == "namespaces"
    assert result.cpu_seconds > 0.0
    assert all(exercise.seconds >= 0 for exercise in result.exercises)


def test_memory_in_use_is_told(grade: Grade) -> None:
    held = 64 << 20
    notebook = cells(RIGHT)
    notebook.insert(0, cell(f"held = b'x' * {held}"))
    peak = grade(notebook).peak_bytes
    assert held - (8 << 20) < peak < held + (32 << 20), peak


def test_stubs_are_missing(grade: Grade) -> None:
    result = grade(STUB, artifact=None)
    assert statuses(result) == dict.fromkeys(ORDER, "missing")
    assert result.points == 0


def test_nothing_at_all_is_missing(grade: Grade, lab: LoadedLab) -> None:
    assert set(statuses(grade([], artifact=None)).values()) == {"missing"}
    result = referee.grade_submission(lab, {}, course_seed=SEED)
    assert set(statuses(result).values()) == {"missing"}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"cells": 3}', b'{"cells": [7]}', b"\xff"])
def test_what_is_no_notebook_is_malformed(lab: LoadedLab, raw: bytes) -> None:
    result = referee.grade_submission(lab, {f"{NAME}.ipynb": raw}, course_seed=SEED)
    assert set(statuses(result).values()) == {"malformed"}


def test_a_group_that_passes_earns_its_share(grade: Grade) -> None:
    rounds = "def double(x):\n    return 2.0 * x if x < 10 else 2.0 * x + 100"
    double = by_name(grade({"double": rounds}))["double"]
    assert (double.points, double.status) == (1.0, "wrong")
    assert [(group.passed, group.total) for group in double.groups] == [(1, 1), (0, 2)]


def test_a_known_mistake_gets_its_hint(grade: Grade) -> None:
    double = by_name(grade({"double": "def double(x):\n    return x + x + x"}))["double"]
    assert (double.mistake, double.status, double.points) == ("zqsecretmutant", "wrong", 0)
    assert double.hint == "Not thrice: zqsecrethint."


def test_feedback_on_hidden_cases_holds_no_number(grade: Grade, lab: LoadedLab) -> None:
    leaks = "def double(x):\n    raise ValueError(f'the input was {x}')"
    wrong = "def double(x):\n    return 2.0 * x if x < 10 else 0.0"
    (public, hidden) = referee.expected_of(lab, SEED).groups(lab.exercises[0])
    for source in (leaks, wrong):
        double = by_name(grade({"double": source}))["double"]
        message = double.groups[1].message
        assert message
        assert not any(character.isdigit() for character in message)
    assert hidden.right[0].value > 1e6 > public.right[0].value


@pytest.mark.parametrize(
    ("source", "status", "hint"),
    [
        ("level = 5", "wrong", "One off."),
        ("level = 'four'", "wrong", ""),
        ("level = None", "missing", ""),
        ("level = [1, 2]", "wrong", ""),
        ("level = float('nan')", "wrong", ""),
        ("level = 1 / 0", "error", ""),
    ],
)
def test_a_prediction_is_read(grade: Grade, source: str, status: str, hint: str) -> None:
    level = by_name(grade({"level": source}))["level"]
    assert (level.status, level.hint, level.points) == (status, hint, 0)


def test_a_choice_is_read(grade: Grade) -> None:
    letter = by_name(grade({"letter": "letter = 'A'"}))["letter"]
    assert (letter.status, letter.hint) == ("wrong", "Too early.")


@pytest.mark.parametrize(
    ("weights", "status"),
    [
        (safetensors.numpy.save({"weights": np.zeros(3)}), "wrong"),
        (safetensors.numpy.save({"weights": np.full(3, -1.0)}), "wrong"),
        (safetensors.numpy.save({"weights": np.full(3, np.nan)}), "wrong"),
        (safetensors.numpy.save({"weights": np.ones((3, 1))}), "wrong"),
        (safetensors.numpy.save({"other": np.ones(3)}), "wrong"),
        (safetensors.numpy.save({"weights": np.ones(3), "more": np.ones(3)}), "wrong"),
        (ARTIFACT[:-4], "malformed"),
        (b"", "malformed"),
        (b"\xff" * 100, "malformed"),
        (None, "missing"),
    ],
    ids=["zeros", "gate raises", "nan", "shape", "name", "more", "cut", "empty", "bytes", "none"],
)
def test_an_artifact_is_measured_here(grade: Grade, weights: bytes | None, status: str) -> None:
    trained = by_name(grade({"trained": "weights = 'mine'"}, artifact=weights))["trained"]
    assert (trained.status, trained.points) == (status, 0)


def test_an_artifact_that_is_too_large_is_rejected(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referee, "MAX_ARTIFACT_BYTES", 50)
    assert statuses(grade({"double": RIGHT["double"]}))["trained"] == "rejected"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("def fit(level):\n    return {'level': np.array([level + 1])}", "wrong"),
        ("def fit(level):\n    return {'level': 'high'}", "wrong"),
        ("def fit(level):\n    return 1 / 0", "error"),
        ("def fit(level):\n    return np.zeros((10**6, 10**6))", "memory"),
        ("def fit(level):\n    while True: pass", "timeout"),
        ("def fit(level):\n    import os; os._exit(0)", "killed"),
        ("fit = 3", "error"),
    ],
)
def test_an_outcome_that_a_function_returns(grade: Grade, source: str, status: str) -> None:
    fit = by_name(grade({"fit": f"import numpy as np\n{source}"}))["fit"]
    assert (fit.status, fit.points) == (status, 0)


def test_an_outcome_that_fails_says_where_and_repeats_nothing(grade: Grade) -> None:
    fit = by_name(grade({"fit": "def fit(level):\n    raise ValueError(f'input {level}')"}))["fit"]
    assert fit.message == "it stops with an error in line 2"


# -- how notebooks die ---------------------------------------------------------------------------

DEATHS = {
    "exits": ("import os; os._exit(0)", "killed"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "killed"),
    "never ends": ("while True: pass", "timeout"),
    "ignores every signal": (
        "import signal\n"
        "for s in (signal.SIGINT, signal.SIGALRM): signal.signal(s, signal.SIG_IGN)\n"
        "while True: pass",
        "timeout",
    ),
    "takes too much memory": ("y = bytearray(4 << 30)", "memory"),
    "takes memory that no exception tells of": (
        "import mmap\nm = mmap.mmap(-1, 4 << 30)\nfor _ in range(256): m.write(bytes(16 << 20))\n"
        "while True: pass",
        "memory",
    ),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_death_in_a_call_costs_that_exercise_alone(grade: Grade, name: str) -> None:
    body, status = DEATHS[name]
    source = "def total(values):\n" + textwrap.indent(body, "    ")
    seconds = 1.0 if status == "timeout" else 20.0
    result = grade(RIGHT | {"total": source}, time_limit=seconds, memory_limit=400)
    total = by_name(result)["total"]
    assert (total.status, total.points) == (status, 0)
    assert total.message
    assert others_ok(result, "total")


@pytest.mark.parametrize("name", DEATHS)
def test_a_death_in_a_cell_costs_that_exercise_alone(
    grade: Grade, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, status = DEATHS[name]
    monkeypatch.setattr(survivor, "CELL_SECONDS", 3.0 if status == "timeout" else 30.0)
    source = f"{body}\n{RIGHT['total']}"
    result = grade(RIGHT | {"total": source}, memory_limit=400)
    total = by_name(result)["total"]
    assert (total.status, total.points) == (status, 0)
    assert "its cell failed" in total.message
    assert others_ok(result, "total")
    (error,) = [o for o in result.outputs["total"] if o["output_type"] == "error"][-1:]
    assert error["ename"] in ("DeadProcessError", "MemoryError", "TimeLimitError")


def test_a_death_on_a_hidden_case_keeps_what_was_earned(grade: Grade) -> None:
    source = "import os\ndef double(x):\n    return 2.0 * x if x < 10 else os._exit(1)"
    double = by_name(grade({"double": source}))["double"]
    assert (double.status, double.points) == ("wrong", 1.0)
    assert double.groups[1].message == double.message == "the code ended the process"


def test_a_syntax_error_costs_its_cell_alone(grade: Grade) -> None:
    result = grade(RIGHT | {"total": "def total(values:\n    return 1"})
    total = by_name(result)["total"]
    assert (total.status, total.points) == ("error", 0)
    assert "SyntaxError" in total.message
    assert others_ok(result, "total")


def test_two_right_and_one_crashing(grade: Grade) -> None:
    answers = {name: RIGHT[name] for name in ("double", "total", "toss")}
    answers["total"] = "def total(values):\n    import ctypes; ctypes.string_at(0)"
    result = by_name(grade(answers))
    assert [result[name].points for name in answers] == [4, 0, 2]


def test_after_a_death_the_earlier_cells_are_run_again_without_the_deadly_one(
    grade: Grade,
) -> None:
    result = grade(
        [
            cell("helper = 2.0\nruns = [1]"),
            cell("import os; runs.append(2); os._exit(1)"),
            *cells({"double": "runs.append(3)\ndef double(x):\n    return helper * x"}),
            *cells({"total": "def total(values):\n    import os; os._exit(1)"}),
            *cells({"level": "level = 4 if runs == [1, 3] else runs"}),
        ]
    )
    assert statuses(result) | {"total": "killed", "double": "ok", "level": "ok"} == statuses(result)


def test_a_cell_that_keeps_all_memory_is_left_out_for_the_others(grade: Grade) -> None:
    hoards = """
        import labkit.frames
        def full(*_, **__): raise MemoryError
        labkit.frames.Channel.receive = full  # as if nothing were left for the next question
        raise MemoryError
        """
    result = grade([cell(hoards), *cells({"double": RIGHT["double"]})])
    assert statuses(result)["double"] == "ok"
    assert result.outputs["0"][-1]["ename"] == "MemoryError"


def test_deaths_are_counted(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivor, "MAX_DEATHS", 1)
    dies = "def {}(**_):\n    import os; os._exit(0)"
    answers = {name: dies.format(name) for name in ("double", "total")}
    result = grade(answers | {name: RIGHT[name] for name in ("toss", "level")})
    assert statuses(result)["level"] == "ok"
    assert statuses(result)["toss"] == "killed"
    assert "2 times" in by_name(result)["toss"].message


def test_what_stood_before_too_many_deaths_is_judged(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survivor, "MAX_DEATHS", 1)
    ends = "import os; os._exit(0)"
    early = {"double": f"def double(x):\n    {ends}", "total": RIGHT["total"]}
    result = grade([*cells(early), cell(ends), cell(ends), *cells({"toss": RIGHT["toss"]})])
    found = by_name(result)
    assert found["double"].message == "the code ended the process"
    assert found["total"].status == "ok"
    assert "2 times" in found["toss"].message


def test_the_whole_notebook_has_a_limit(grade: Grade) -> None:
    sleeps = [cell("import time; time.sleep(60)")]
    early = {name: RIGHT[name] for name in ("level", "double")}
    result = grade([*cells(early), *sleeps, *cells(RIGHT)], total_limit=3.0)
    assert statuses(result)["level"] == "ok"
    assert statuses(result)["double"] == "ok", "its call has time of its own"
    assert statuses(result)["total"] == "timeout"
    assert "as a whole" in by_name(result)["total"].message


def test_the_limit_per_call_can_be_set(grade: Grade) -> None:
    slow = "import time\ndef double(x):\n    time.sleep(1.2)\n    return 2.0 * x"
    assert statuses(grade({"double": slow}, time_limit=1.0))["double"] == "timeout"
    assert statuses(grade({"double": slow}))["double"] == "ok", "no more patient than check"


def test_after_a_timeout_the_other_cases_are_not_run(grade: Grade) -> None:
    slow = """
        calls = []
        def double(x):
            calls.append(x)
            while x > 10: pass
            return 2.0 * x
        """
    total = "def total(values):\n    return sum(values) if len(calls) == 2 else 0"  # of three cases
    result = grade(cells({"double": slow, "total": total}))
    assert statuses(result)["double"] == "wrong"
    assert by_name(result)["double"].points == 1
    assert statuses(result)["total"] == "ok"


# -- in which order ------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["double = total = level = None", "import os; os._exit(0)"])
def test_a_later_cell_cannot_spoil_an_earlier_answer(grade: Grade, last: str) -> None:
    assert grade([*cells(RIGHT), cell(last)]).points == 15


def test_no_cell_sees_an_input(grade: Grade) -> None:
    keeps = "seen = []\ndef double(x):\n    seen.append(x)\n    open('seen', 'a').write(f'{x} ')\n"
    tells = "import os\nprint(seen, os.listdir())"
    result = grade([*cells({"double": f"{keeps}    return 2.0 * x"}), cell(tells)])
    assert statuses(result)["double"] == "ok"
    assert result.outputs["2"][0]["text"] == "[] ['trained.safetensors']\n"


def test_each_function_is_called_with_what_the_notebook_was_at_its_test_cell(grade: Grade) -> None:
    result = grade(
        [
            cell("factor = 2.0\nplus = 1"),
            *cells({"double": "def double(x):\n    return factor * x"}),
            cell("factor = 1.0\ndel plus\ndef there():\n    return 'plus' not in globals()"),
            *cells({"total": "def total(values):\n    plus = 0\n    return factor * sum(values)"}),
            *cells({"toss": "def toss(rng):\n    return int(rng.random() < .3) if there() else 5"}),
            cell("factor = 3.0\nplus = 1"),
        ]
    )
    judged = {name: statuses(result)[name] for name in ("double", "total", "toss")}
    assert judged == dict.fromkeys(judged, "ok")


def test_what_a_later_cell_switches_is_switched_back(grade: Grade) -> None:
    switches = """
        import os, tempfile
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        np.seterr(all="raise")
        os.chdir(tempfile.mkdtemp())
        """
    double = """
        from pathlib import Path
        import numpy as np, torch
        def double(x):
            loss = torch.ones(1, requires_grad=True) * np.exp(-1e9 * x)
            Path("trained.safetensors").stat()
            return 2.0 * x if loss.requires_grad and loss.dtype == torch.float32 else 0.0
        """
    total = """
        def total(values):
            assert not torch.is_grad_enabled() and np.geterr()["under"] == "raise"
            return sum(values) if torch.ones(1).dtype == torch.float64 else 0.0
        """
    result = grade([*cells({"double": double}), cell(switches), *cells({"total": total})])
    assert (statuses(result)["double"], statuses(result)["total"]) == ("ok", "ok")


def test_a_process_that_died_in_a_call_is_followed_by_one_with_the_same_moments(
    grade: Grade,
) -> None:
    dies = "def double(x):\n    import os; os._exit(0)"
    total = "plus = 0\ndef total(values):\n    return sum(values) + plus"
    result = grade([*cells({"double": dies, "total": total}), cell("plus = total = 1")])
    assert statuses(result)["total"] == "ok"


def test_an_exercise_without_a_test_cell_is_judged_at_the_end(grade: Grade) -> None:
    untested = [cell(source, name) for name, source in RIGHT.items()]
    assert grade(untested).points == 15


def test_training_cells_are_not_run(grade: Grade) -> None:
    result = grade([cell("import os; os._exit(0)", "train-trained"), *cells(RIGHT)])
    assert result.points == 15
    assert "train-trained" not in result.outputs


def test_a_test_cell_twice_is_one_verdict(grade: Grade) -> None:
    result = grade(cells({"double": RIGHT["double"]}) + cells({"double": "double = None"}))
    assert statuses(result)["double"] == "ok"


def test_what_cells_show_is_kept_by_grade_id_or_index(grade: Grade) -> None:
    markdown = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
    shows = "print('hello')\nlevel = 4"
    result = grade([markdown, cell("'mine'"), cell(""), *cells({"level": shows})])
    assert result.outputs["1"][0]["data"]["text/plain"] == "'mine'"
    assert result.outputs["level"] == [
        {"output_type": "stream", "name": "stdout", "text": "hello\n"}
    ]
    assert "test-level" not in result.outputs
    for outputs in result.outputs.values():
        for output in outputs:
            nbformat.validate(output, "output", version=4)


def test_an_answer_on_stderr_still_counts(grade: Grade) -> None:
    warns = "import sys, warnings\ndef double(x):\n    print('!', file=sys.stderr)\n"
    warns += "    warnings.warn('careful')\n    return 2.0 * x"
    assert statuses(grade({"double": warns}))["double"] == "ok"


# -- how notebooks lie and spy -------------------------------------------------------------------


@pytest.mark.parametrize(
    "trick",
    [
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])",
        "import labkit.probes as p\np.observe = lambda *a, **k: p.Observation(value=True)",
        "import labkit.compare as c\nc.compare = c.compare_values = lambda *a, **k: None",
        "import labkit.wire as w\nw.dumps = lambda *a, **k: b'null'",
        "class Equal(float):\n    __eq__ = lambda *_: True\n"
        "double = total = toss = lambda *a, **k: Equal(0)",
        "import numpy as np\nfrom labkit.compare import Summary\n"
        "toss = lambda rng: Summary(np.zeros(3), np.full(3, 1e9), 500, 2)",
        "double = total = lambda *a, **k: float('nan')",
        "import labkit.limits as l\ndef double(x): raise l.TimeLimitError",
        "import labkit.probes as p\n"
        "double = lambda x: p.Observation(error=p.CallError('NotImplementedError', ''))",
    ],
)
def test_a_trick_earns_nothing(grade: Grade, trick: str) -> None:
    result = grade([*cells({"level": trick}), *cells(STUB | {"level": trick})], artifact=None)
    assert result.points == 0


def test_forged_frames_earn_nothing(grade: Grade) -> None:
    forge = """
        import os, struct, threading
        from labkit import wire
        from labkit.probes import Observation
        fd = next(fd for fd in range(3, 64) if os.path.exists(f"/proc/self/fd/{fd}")
                  and os.readlink(f"/proc/self/fd/{fd}").startswith("socket"))
        def answer(number, value):
            raw = wire.dumps({"op": "done", "id": number, "observation": Observation(value)})
            os.write(fd, struct.pack("<I", len(raw)) + raw)
        for number in range(2, 9):
            answer(number, 4)  # the next questions are answered before they are asked
        """
    result = grade([cell(forge), *cells(STUB)], artifact=None)
    assert result.points <= 1  # `level` is 4: it could have written that into its cell as well
    assert statuses(result)["double"] != "ok"


def test_what_is_secret_never_enters_the_process(grade: Grade) -> None:
    """All that is secret of the toy lab contains one word, which the spy never says whole."""
    spy = """
        found = []
        def look():
            for line in open("/proc/self/maps").read().splitlines():
                ends, rights = line.split()[:2]
                if "r" not in rights or "[v" in line:
                    continue
                start, end = (int(text, 16) for text in ends.split("-"))
                with open("/proc/self/mem", "rb", buffering=0) as memory:
                    memory.seek(start)
                    try:
                        content = memory.read(end - start)
                    except OSError:
                        continue
                at = content.find(b"qsecret")
                while at >= 0:
                    if content[max(at - 1, 0):at] == b"z":
                        found.append(start + at)
                    at = content.find(b"qsecret", at + 1)
        def double(x):
            if x > 10: look()
            return 3.0 * x
        """
    probe = "control = 'z' + 'qsecretword'"  # proves that the spy finds what is there
    total = "def total(values):\n    look()\n    return 0 if found else sum(values)"
    spying = cells({"double": spy, "total": total})
    slowly = {"memory_limit": 2048, "time_limit": 60.0}
    clean = grade(spying, **slowly)
    caught = grade([cell(probe), *spying], **slowly)
    assert statuses(clean)["total"] == "ok"
    assert statuses(caught)["total"] == "wrong"


def test_a_comparison_that_breaks_is_no_answer(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> ExerciseResult:
        raise OverflowError

    monkeypatch.setattr(judging, "judge_exercise", breaks)
    result = grade(RIGHT)
    assert statuses(result)["double"] == "wrong"
    assert statuses(result)["level"] == "ok"


# -- around it -----------------------------------------------------------------------------------


def test_a_result_is_plain_data(grade: Grade) -> None:
    result = grade(RIGHT | {"total": "print('x')\ntotal = 3"})
    assert pickle.loads(pickle.dumps(result)) == result
    assert SubmissionResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_many_at_once_are_judged_as_one_by_one(grade: Grade) -> None:
    wrong = RIGHT | {"total": "def total(values):\n    return 0.0"}
    dying = RIGHT | {"total": "def total(values):\n    import os; os._exit(0)"}
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(grade, [RIGHT, wrong, dying]))
    assert [result.points for result in together] == [15, 12, 12]


def test_what_is_right_is_computed_once(lab: LoadedLab) -> None:
    assert referee.expected_of(lab, SEED) is referee.expected_of(lab, SEED)
    assert referee.expected_of(lab, SEED) is not referee.expected_of(lab, SEED + 1)


def test_without_a_sandbox_an_own_notebook_runs_all_the_same(grade: Grade) -> None:
    result = grade(RIGHT, sandbox=False)
    assert (result.points, result.tier) == (15, "none")


def test_every_kind_of_the_toy_lab_is_judged() -> None:
    toy = discover.load("lab00_toy", Path(__file__).parent / "toy" / "solutions")
    answers = {}
    for item in toy.items:
        if item.name in toy.source.definitions:
            answers[item.name] = toy.source.definitions[item.name].text
        elif hasattr(item, "answer"):
            answers[item.name] = f"{item.name} = {item.answer!r}"
    imports = "import numpy as np, torch\nfrom typing import Any\nFloat = Any"
    trained = {name: np.asarray(v) for name, v in toy.item("bandit").reference().items()}
    files = {
        "lab00_toy.ipynb": packed([cell(imports), *cells(answers)]),
        "bandit.safetensors": safetensors.numpy.save(trained),
    }
    result = referee.grade_submission(toy, files, course_seed=SEED)
    assert set(statuses(result).values()) == {"ok"}, result.exercises


def test_our_time_is_not_the_students(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, clock, ahead = judging.judge_exercise, time.monotonic, [0.0]

    def slow(*args: Any, **options: Any) -> ExerciseResult:
        ahead[0] += 1000.0
        return judge(*args, **options)

    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead[0])
    monkeypatch.setattr(judging, "judge_exercise", slow)
    assert grade(RIGHT, total_limit=900.0).points == 15
