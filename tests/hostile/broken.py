"""Honest students' broken notebooks, each with the score that a fair teacher would give."""

import json

from tests.hostile.declare import HONEST, MAX_POINTS, POINTS, Broken, Tree, cell_of, code, grade_id

ALL_LOST = dict.fromkeys(POINTS, 0.0) | {"scale": MAX_POINTS}


def without_tests(tree: Tree) -> None:
    tree["cells"] = [cell for cell in tree["cells"] if not grade_id(cell).startswith("test-")]


def merged(tree: Tree) -> None:
    """`total` moved into the cell of `scale`, whose own cell is gone."""
    cell_of(tree, "scale")["source"] += "\n\n\n" + HONEST["total"]
    tree["cells"].remove(cell_of(tree, "total"))


def split(tree: Tree) -> None:
    """The answer in a new cell right below, its own cell only half of it."""
    at = tree["cells"].index(cell_of(tree, "scale"))
    cell_of(tree, "scale")["source"] = "FACTOR = 7"
    tree["cells"].insert(at + 1, code("def scale(number):\n    return FACTOR * number + 3"))


def below(tree: Tree) -> None:
    """The stub as it was, and the answer in a new cell below the test."""
    stub = "def scale(number):\n    raise NotImplementedError()"
    cell_of(tree, "scale")["source"] = stub
    at = tree["cells"].index(cell_of(tree, "test-scale"))
    tree["cells"].insert(at, code(HONEST["scale"]))


def other_kernel(tree: Tree) -> None:
    tree["metadata"]["kernelspec"] = {"name": "my-env", "display_name": "My env", "language": "R"}


def own_outputs(tree: Tree) -> None:
    """A picture of six megabytes that came with the notebook."""
    tree["cells"].append(code("1 + 1"))
    tree["cells"][-1]["outputs"] = [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "QUJD" * (2 << 19)}}
    ]


def old(raw: bytes) -> bytes:
    cells = json.loads(raw)["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell["language"] = "python"
    tree = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "lab"}}
    return json.dumps(tree | {"worksheets": [{"cells": cells}]}).encode()


def windows(raw: bytes) -> bytes:
    """Line endings and a mark at the start as some editors on Windows write them."""
    return b"\xef\xbb\xbf" + json.dumps(json.loads(raw), indent=1).replace("\n", "\r\n").encode()


BROKEN = (
    Broken(
        "prints-instead",
        "It prints and returns nothing: what was asked for is not there.",
        answers={"scale": "def scale(number):\n    print(7 * number + 3)"},
        lost={"scale": 4},
    ),
    Broken(
        "asks-for-input",
        "A cell that asks somebody who is not there fails; the answers do not.",
        first=("name = input('Your name? ')", "input()"),
    ),
    Broken(
        "waits-for-ever",
        "A scratch cell that never ends is stopped; the answers after it count.",
        first=("import time\nwhile True:\n    time.sleep(0.01)",),
    ),
    Broken(
        "installs-packages",
        "What cannot be installed here was not needed for any answer.",
        first=("%pip install nothing-like-this", "!apt-get update"),
    ),
    Broken(
        "odd-magics",
        "Magics for a screen, and misspelled ones, change no answer.",
        first=(
            "%matplotlib widget",
            "%matplotlib notebook",
            "%matplotlib nowhere",
            "%autoreload 2",
            "%timeit -n 3 -r 1 sum(range(10))",
            "%%times\n1 + 1",
            "%load_ext nowhere",
        ),
    ),
    Broken(
        "forgets-an-import",
        "One answer needs what was never imported, and fails; the others stand.",
        answers={"total": "def total(values):\n    return float(scipy.sum(values**2))"},
        lost={"total": 2},
    ),
    Broken(
        "another-kernel",
        "The name of the environment at home is no mistake.",
        edit=other_kernel,
    ),
    Broken("windows-files", "Line endings are no mistake.", raw=windows),
    Broken("merged-cells", "Both answers are there, in one cell.", edit=merged),
    Broken("split-cells", "The answer is there, in two cells.", edit=split),
    Broken("answer-below", "The answer is there, below the stub.", edit=below),
    Broken("deleted-tests", "The test cells are ours: they are put back.", edit=without_tests),
    Broken(
        "renamed-file",
        "It is the only notebook of this lab in the folder.",
        notebook="lab00_hostile (1) final FINAL.ipynb",
    ),
    Broken("old-notebook", "An old version of the format is upgraded.", raw=old),
    Broken(
        "syntax-error-elsewhere",
        "A cell of notes that is not Python takes nothing from the answers.",
        first=("def broken(:\n    pass", "why does this not work ???"),
    ),
    Broken(
        "changed-globals",
        "Global seeds, numpy settings and names that are changed between cells touch no answer.",
        first=(
            "import numpy as np, random, torch\nnp.random.seed(1)\nnp.seterr(all='raise')\n"
            "torch.set_default_dtype(torch.float16)\nnumber = 5\nmax = min\nlist = [1]",
        ),
        after={"scale": "rng = None\nvalues = 3\nnp.set_printoptions(precision=1)"},
    ),
    Broken(
        "answers-twice",
        "The definition that stands last in the cell counts, as in Python.",
        answers={"scale": "def scale(number):\n    return 0\n\n\n" + HONEST["scale"]},
    ),
    Broken(
        "many-figures",
        "Figures left open use memory, but not the answers' points.",
        after={
            "scale": "import matplotlib.pyplot as plt\nfor i in range(60):\n"
            "    plt.figure(figsize=(1, 1))\n    plt.plot([i, 2])\nplt.close('all')\n"
            "plt.plot([1, 2])\nplt.show()"
        },
    ),
    Broken(
        "warns",
        "Warnings and progress bars on stderr are no errors, in cells and in calls.",
        answers={
            "scale": "import sys, warnings\ndef scale(number):\n    warnings.warn('hm')\n"
            "    print('progress', file=sys.stderr)\n    return 7 * number + 3"
        },
        first=(
            "import sys, warnings\nwarnings.warn('old')\nprint('note', file=sys.stderr)",
            "from tqdm.auto import tqdm\nfor i in tqdm(range(2000), mininterval=0):\n    pass",
        ),
    ),
    Broken(
        "endless-recursion",
        "One answer calls itself without end and fails; the others stand.",
        answers={"total": "def total(values):\n    return total(values)"},
        lost={"total": 2},
    ),
    Broken(
        "raises-in-its-cell",
        "A cell that fails before its definition leaves one answer undefined.",
        answers={"scale": "assert undefined_name == 1\n\n\n" + HONEST["scale"]},
        lost={"scale": 4},
        shown="undefined_name",
    ),
    Broken(
        "widgets",
        "Widgets that nobody can move take nothing from the answers.",
        first=(
            "import ipywidgets\nfrom IPython.display import display\n"
            "display(ipywidgets.IntSlider())\nipywidgets.interact(lambda x: x, x=3)",
        ),
    ),
    Broken(
        "untouched",
        "Nothing was answered: nothing is earned, and nothing is an error.",
        answers={
            "scale": "def scale(number):\n    raise NotImplementedError()",
            "total": "def total(values):\n    raise NotImplementedError()",
            "toss": "def toss(rng):\n    raise NotImplementedError()",
            "last": "def last(number):\n    raise NotImplementedError()",
            "answer": "answer = ...",
            "letter": "letter = ...",
        },
        lost={name: points for name, points in POINTS.items() if name != "weights"},
    ),
    Broken(
        "half-saved",
        "A file that breaks off cannot be read: the student is told, and hands it in again.",
        raw=lambda raw: raw[: len(raw) // 2],
        lost=ALL_LOST,
        shown="not complete",
    ),
    Broken("empty-file", "Nothing can be read.", raw=lambda raw: b"", lost=ALL_LOST, shown="empty"),
    Broken("large-outputs", "Pictures that came with the notebook are dropped.", edit=own_outputs),
    Broken(
        "quits",
        "In a notebook one may call exit and quit to end a session; the answers below still stand.",
        first=("exit()", "quit", "import sys\nsys.exit(1)"),
    ),
    Broken(
        "shells",
        "Cells of other languages may fail here; the answers do not.",
        first=("%%bash\necho here", "%%javascript\nalert(1)", "%%R\nx <- 1", "%%html\n<b>x</b>"),
    ),
    Broken(
        "awaits",
        "Awaiting at the top level works as in Jupyter.",
        first=("import asyncio\nawait asyncio.sleep(0)\nawait asyncio.gather(asyncio.sleep(0))",),
    ),
    Broken(
        "paths-of-home",
        "Paths of the student's own machine are not here; no answer needs them.",
        first=("import os\nos.chdir('/home/me/course')", "%cd C:\\Users\\me", "open('data.csv')"),
    ),
    Broken(
        "prints-on-crash",
        "One answer ends the process; what comes after it is run again and counts.",
        answers={"scale": "import os\ndef scale(number):\n    os.abort()"},
        lost={"scale": 4},
    ),
    Broken(
        "other-types",
        "numpy's numbers and torch's are numbers.",
        answers={
            "scale": "import numpy as np\ndef scale(number):\n    return np.int64(7 * number + 3)",
            "total": "import torch\ndef total(values):\n"
            "    return (torch.from_numpy(values) ** 2).sum()",
            "toss": "import numpy as np\ndef toss(rng):\n    return np.int64(rng.random() < 0.3)",
            "letter": "letter = ' b '",
        },
    ),
)
