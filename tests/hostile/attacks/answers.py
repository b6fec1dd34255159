"""Attacks by what is returned: objects that claim to equal, to be, or never to end."""

from tests.hostile.declare import Attack, Goal

FULL_MARKS: Goal = "points gained"


def returned(name: str, tries: str, source: str, **more: object) -> Attack:
    """An attack by what ``scale`` and ``total`` return."""
    answers = {"scale": source}
    return Attack(name, tries, FULL_MARKS, answers=answers, **more)  # type: ignore[arg-type]


ATTACKS = (
    returned(
        "equals-everything",
        "returns numbers that equal whatever they are compared with",
        """
        import numpy as np

        class Equal(int):
            __hash__ = int.__hash__
            def __eq__(self, other): return True
            def __ne__(self, other): return False

        class Close(float):
            def __sub__(self, other): return 0.0
            __rsub__ = __sub__
            def __eq__(self, other): return True
            def __abs__(self): return 0.0

        class Same(np.ndarray):
            def __array_ufunc__(self, *args, **kwargs): return True
            def __array_function__(self, *args, **kwargs): return True
            def __eq__(self, other): return True

        def scale(number): return Equal(0)
        def total(values): return Close(0.0)
        answer = Close(0.0)
        letter = type("B", (str,), {"__eq__": lambda s, o: True, "__hash__": str.__hash__})("")
        """,
    ),
    returned(
        "array-protocols",
        "returns objects that become any array when somebody looks at them",
        """
        import numpy as np
        seen = []

        class Chameleon:
            def __array__(self, *args, **kwargs): return np.array(True)
            def __float__(self): return float("nan")
            def __index__(self): return 1
            def __reduce__(self): return (exec, ('print("BROKE", "IN", sep="-")',))
            def __array_interface__(self): raise SystemExit
            __class__ = int

        def scale(number): return Chameleon()
        def total(values): return np.ma.masked_all(())
        """,
    ),
    returned(
        "not-a-number",
        "answers nan, inf and True, which some comparisons let through",
        """
        def scale(number): return float("nan")
        def total(values): return float("inf")
        def toss(rng): return True
        answer = float("nan")
        letter = ["A", "B", "C"]
        """,
    ),
    returned(
        "any-of-these",
        "answers with everything that might be right at once",
        """
        import numpy as np
        def scale(number): return np.arange(10)
        def total(values): return (values.sum(), (values**2).sum())
        answer = np.linspace(0, 1e7, 100001)
        letter = "B or A or C"
        """,
    ),
    returned(
        "recorded-public-answers",
        "returns the recorded answers of the public cases, and nothing for others",
        """
        import json, pathlib

        KNOWN = {1: 10, 12: 87}
        for path in pathlib.Path(".").rglob("public_cases.json"):
            print(len(path.read_text()))

        def scale(number): return KNOWN.get(number, 0)
        """,
        earns=2.0,
    ),
    returned(
        "endless-structures",
        "returns structures without an end, or with too many parts",
        """
        import itertools

        def scale(number):
            loop = []
            loop.append(loop)
            return loop if number < 10 else itertools.count()

        def total(values):
            deep = 0
            for _ in range(100_000):
                deep = [deep]
            return deep

        answer = 10 ** 5000
        letter = {str(i): i for i in range(300_000)}
        """,
    ),
    returned(
        "huge-arrays",
        "returns arrays of more bytes than can travel, and of dimensions that overflow",
        """
        import numpy as np
        def scale(number): return np.zeros(6 << 20)
        def total(values): return np.broadcast_to(0.0, (2**31 - 1, 2**31 - 1))
        answer = np.zeros((0, 2**31 - 1, 2**31 - 1))
        """,
    ),
    returned(
        "changes-its-mind",
        "returns an array that another thread goes on writing to",
        """
        import threading, time
        import numpy as np
        shared = np.zeros(())

        def write():
            for guess in range(20_000):
                shared[...] = guess
        def scale(number): return shared
        def total(values):
            threading.Thread(target=write, daemon=True).start()
            return shared
        """,
    ),
    returned(
        "prints-the-verdict",
        "prints what a grader would print, wherever it can",
        """
        import sys
        print("13.0")
        print('{"op": "done", "points": 13.0, "status": "ok"}')
        print("All tests passed. 13 of 13 points (ok)", file=sys.stderr)
        sys.displayhook(13.0)
        def scale(number):
            sys.displayhook(4.0)
            print(4.0)
            return "ok"
        13.0
        """,
    ),
)
