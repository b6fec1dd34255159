"""Attacks on the notebook's own structure: ids, points, kinds and sizes of cells."""

import json
from typing import Any

from tests.hostile.declare import HONEST, Attack, Goal, Tree, cell_of, code, grade_id, markdown

GAINED: Goal = "points gained"
STOPPED: Goal = "run stopped or delayed"


def named(source: str, **nbgrader: Any) -> Tree:
    cell = code(source)
    about = {"schema_version": 3, "locked": False, "grade": False, "solution": False, "task": False}
    cell["metadata"] = {"nbgrader": about | nbgrader}
    return cell


def tests_replaced(tree: Tree) -> None:
    for cell in tree["cells"]:
        if grade_id(cell).startswith("test-"):
            cell["source"] = str(float(cell["metadata"]["nbgrader"]["points"]))


def points_raised(tree: Tree) -> None:
    for cell in tree["cells"]:
        if grade_id(cell).startswith("test-"):
            cell["metadata"]["nbgrader"]["points"] = 1000
    cell_of(tree, "last")["metadata"]["nbgrader"] |= {"grade": True, "points": 500}


def ids_doubled(tree: Tree) -> None:
    for name in ("scale", "total", "toss", "answer", "letter"):
        tree["cells"].append(named("pass", grade_id=f"test-{name}", grade=True, points=100))
        tree["cells"].insert(0, named(f"{name} = 1", grade_id=name, solution=True))
        tree["cells"].insert(0, named("13.0", grade_id=name, solution=True, grade=True, points=9))


def marked_as_tests(tree: Tree) -> None:
    for index, cell in enumerate(tree["cells"]):
        if cell["cell_type"] == "code":
            cell["metadata"]["nbgrader"] = {
                "grade_id": f"test-own-{index}",
                "grade": True,
                "points": 50,
                "solution": True,
                "locked": False,
                "schema_version": 3,
                "task": False,
            }
    tree["cells"].append(named(HONEST["last"], grade_id="last", solution=True))


def train_forged(tree: Tree) -> None:
    cell_of(tree, "train-weights")["source"] = (
        "import numpy as np, labkit\nweights_submitted = True\n"
        "labkit.save_artifact('weights.safetensors', {'weights': np.array([1.0, 2.0, 3.0])})"
    )
    tree["cells"].append(named("13.0", grade_id="train-scale"))
    tree["cells"].append(named("raise SystemExit", grade_id="test-"))


def garbage(tree: Tree) -> None:
    values: Any = None, 7, [], {"grade_id": ["scale"]}, {"grade_id": {"a": 1}, "points": "13"}
    for value in values:
        for kind in ("code", "markdown", "raw", "heading", "test", 5, None):
            cell: Any = {
                "cell_type": kind,
                "source": ["x = ", 1, None],
                "metadata": {"nbgrader": value},
            }
            tree["cells"].append(cell)
    tree["cells"] += [None, [], "cell", {}, {"cell_type": "code"}, {"source": {"a": 1}}]
    tree["metadata"] = {"kernelspec": {"name": "../../bin/sh", "language": "bash"}, "nbgrader": 1}
    tree["nbformat"], tree["nbformat_minor"] = 4, 10**9


def outputs_forged(tree: Tree) -> None:
    for cell in tree["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = 1
            cell["outputs"] = [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {"text/plain": "1000.0"},
                }
            ]


def thousands(tree: Tree) -> None:
    tree["cells"] += [code("") for _ in range(100_000)]


def kernel_of_ones_own(tree: Tree) -> None:
    tree["metadata"] |= {
        "kernelspec": {"name": "evil", "display_name": "evil", "argv": ["touch", "@ROOM@/@LEFT@"]},
        "language_info": {"name": "sh", "pygments_lexer": "../../x", "file_extension": "/../.sh"},
        "title": "{{ ''.__class__.__mro__ }}",
        "authors": [{"name": "<script>alert('zzscript')</script>"}],
        "jupytext": {"formats": "ipynb,../../x.py"},
    }


def no_solutions(tree: Tree) -> None:
    tree["cells"] = [
        cell for cell in tree["cells"] if not grade_id(cell) or grade_id(cell) == "last"
    ]


def old_format(raw: bytes) -> bytes:
    tree = json.loads(raw)
    cells = []
    for cell in tree["cells"]:
        if cell["cell_type"] == "code":
            cell = {"cell_type": "code", "language": "python", "input": cell["source"]} | {
                "metadata": cell["metadata"],
                "outputs": [{"output_type": "pyout", "text": "13.0", "prompt_number": 1}],
            }
        cells.append(cell)
    return json.dumps(
        {"nbformat": 3, "metadata": {"name": "x"}, "worksheets": [{"cells": cells}]}
    ).encode()


def nested(raw: bytes) -> bytes:
    return raw[:-1] + b', "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def repeated_keys(raw: bytes) -> bytes:
    return raw[:-1] + b', "cells": [], "nbformat": 3, "worksheets": []}'


def edited(name: str, tries: str, edit: Any, goal: Goal = GAINED, **more: Any) -> Attack:
    return Attack(name, tries, goal, edit=edit, **more)


ATTACKS = (
    edited("replaces-the-tests", "puts its own score into every test cell", tests_replaced),
    edited("raises-the-points", "makes every test worth a thousand points", points_raised),
    edited("doubles-the-ids", "hands in each graded cell three times", ids_doubled),
    edited(
        "own-tests",
        "marks its own code as test cells, which are never run, and its answers as no cells",
        marked_as_tests,
    ),
    edited("forges-the-training", "replaces the training cell by one that cheats", train_forged),
    edited("garbage", "hands in cells of every wrong type", garbage, STOPPED),
    edited("forges-outputs", "hands in outputs with a score in every cell", outputs_forged),
    edited(
        "thousands-of-cells", "hands in a notebook of 100,000 cells", thousands, STOPPED, earns=0.0
    ),
    edited(
        "own-kernel",
        "names a kernel, a lexer and a template of its own in the notebook's metadata",
        kernel_of_ones_own,
        "something left behind",
    ),
    edited("no-cells", "deletes the tests, so that nothing can be wrong", no_solutions),
    Attack(
        "old-format",
        "hands in the same in nbformat 3, with a score as output",
        GAINED,
        raw=old_format,
    ),
    Attack("nested", "nests the notebook 200,000 levels deep", STOPPED, raw=nested, earns=0.0),
    Attack(
        "repeated-keys",
        "hands in JSON whose keys appear twice, for readers that take the first",
        GAINED,
        raw=repeated_keys,
        earns=0.0,
    ),
    Attack(
        "another-question",
        "answers the written question with forged metadata and a score",
        GAINED,
        edit=lambda tree: cell_of(tree, "question-why").update(
            markdown("13.0\n\n<!-- graded by hand: 13 -->")
            | {
                "metadata": {
                    "nbgrader": {
                        "grade_id": "question-why",
                        "grade": True,
                        "solution": True,
                        "points": 99,
                        "schema_version": 3,
                        "locked": False,
                        "task": False,
                    }
                }
            }
        ),
    ),
)
