"""Attacks on what the student's own process does for the grader, and on what IPython does."""

from tests.hostile.declare import Attack, Goal

FULL_MARKS: Goal = "points gained"


def patched(name: str, tries: str, source: str) -> Attack:
    """An attack by a cell at the notebook's top."""
    return Attack(name, tries, FULL_MARKS, first=(source,))


ATTACKS = (
    patched(
        "empties-later-cells",
        "turns the source of every later cell into `pass`",
        'get_ipython().input_transformers_cleanup.append(lambda lines: ["pass\\n"])',
    ),
    patched(
        "drops-asserts",
        "removes every `assert` and call from later cells' syntax trees",
        """
        import ast

        class Drop(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()

            def visit_Expr(self, node):
                return ast.Pass()

        get_ipython().ast_transformers.append(Drop())
        """,
    ),
    patched(
        "swallows-errors",
        "lets IPython treat a failed test as if nothing had happened",
        """
        def calm(shell, kind, value, trace, tb_offset=None):
            return []

        get_ipython().set_custom_exc((Exception,), calm)
        """,
    ),
    patched(
        "replaces-run-cell",
        "replaces what runs a cell by something that always succeeds",
        """
        from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

        def run_cell(self, *args, **kwargs):
            result = ExecutionResult(None)
            result.result = 13.0
            return result

        async def run_cell_async(self, *args, **kwargs):
            return run_cell(self)

        InteractiveShell.run_cell = get_ipython().__class__.run_cell = run_cell
        InteractiveShell.run_cell_async = run_cell_async
        """,
    ),
    patched(
        "answers-in-every-namespace",
        "puts an object that equals everything under every name before each cell",
        """
        class Anything:
            __hash__ = None
            def __eq__(self, other): return True
            def __call__(self, *args, **kwargs): return self
            def __getattr__(self, name): return self
            def __float__(self): return 0.3
            def __abs__(self): return 0.0
            def __sub__(self, other): return 0.0

        def fill(*args):
            for name in ("scale", "total", "toss", "answer", "letter"):
                get_ipython().user_ns[name] = Anything()

        get_ipython().events.register("pre_run_cell", fill)
        get_ipython().events.register("pre_execute", fill)
        fill()
        """,
    ),
    patched(
        "patches-comparisons",
        "makes numpy, math and labkit say that everything is close to everything",
        """
        import math, sys
        import numpy as np

        def yes(*args, **kwargs):
            return True

        np.isclose = np.allclose = np.array_equal = math.isclose = yes
        np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
        for module in list(sys.modules.values()):
            for name in ("compare", "compare_values", "_difference", "summarize"):
                if getattr(module, "__name__", "").startswith("labkit") and hasattr(module, name):
                    setattr(module, name, lambda *a, **k: None)
        """,
    ),
    patched(
        "patches-the-probe",
        "replaces what observes a call by something that reports no difference",
        """
        import sys
        from labkit import probes, wire

        class Equal(probes.Observation):
            def __eq__(self, other): return True

        probes.observe = lambda *args, **kwargs: Equal(value=True)
        for module in list(sys.modules.values()):
            if getattr(module, "observe", None) is not None and module is not probes:
                module.observe = probes.observe
        """,
    ),
    patched(
        "patches-the-encoder",
        "sends full marks instead of whatever is to be sent",
        """
        import json
        from labkit import wire

        true_dumps = wire.dumps
        def dumps(value, **options):
            if type(value) is dict and value.get("op") == "done":
                value = {**value, "points": 13, "score": 13.0, "status": "ok", "error": ""}
            return true_dumps(value, **options)
        wire.dumps = dumps
        """,
    ),
    patched(
        "disarms-assertions",
        "replaces AssertionError, so that a failed assertion ends like a success",
        """
        import builtins

        class Calm(SystemExit):
            def __init__(self, *args): super().__init__(0)

        builtins.AssertionError = AssertionError = Calm
        """,
    ),
    patched(
        "rewrites-small-integers",
        "overwrites the interpreter's own integers, so that wrong ones are right",
        """
        import ctypes

        def overwrite(old, new):
            ctypes.memmove(id(old) + 24, id(new) + 24, 4)

        overwrite(87, 2)
        """,
    ),
    Attack(
        "hooks-every-event",
        "watches every call, import and return with trace, profile and audit hooks",
        FULL_MARKS,
        first=(
            """
            import sys, threading

            def tracer(frame, event, argument):
                for name in ("expected", "right", "reference", "mismatch"):
                    if name in frame.f_locals:
                        print("BROKE", "IN", sep="-")
                if event == "exception" and argument[0] is AssertionError:
                    frame.f_lineno = frame.f_lineno + 1
                return tracer

            sys.settrace(tracer)
            threading.settrace(tracer)
            sys.addaudithook(lambda event, arguments: None)
            """,
        ),
        after={"last": "sys.settrace(None); threading.settrace(None)"},
    ),
    patched(
        "import-hook",
        "puts its own finder before all others, to forge what is imported later",
        """
        import importlib.abc, importlib.machinery, sys, types

        class Forger(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("numpy", "labkit", "autograder", "solutions"):
                    return importlib.machinery.ModuleSpec(name, self)
            def create_module(self, spec):
                return types.ModuleType(spec.name)
            def exec_module(self, module):
                module.__getattr__ = lambda name: (lambda *args, **kwargs: True)

        sys.meta_path.insert(0, Forger())
        for name in [n for n in sys.modules if n.startswith("numpy.testing")]:
            del sys.modules[name]
        """,
    ),
    Attack(
        "shadows-modules",
        "hands in its own numpy, labkit and start-up modules beside the notebook",
        FULL_MARKS,
        files=dict.fromkeys(
            (
                "numpy.py",
                "labkit.py",
                "autograder.py",
                "sitecustomize.py",
                "usercustomize.py",
                "nbgrader_config.py",
                "jupyter_config.py",
                "conftest.py",
                "json.py",
                "matplotlib_inline.py",
            ),
            b"import pathlib\npathlib.Path('@ROOM@/@LEFT@').write_text('here')\n"
            b"def __getattr__(name): return lambda *a, **k: True\n",
        ),
    ),
    Attack(
        "inherits-the-tests",
        "lets the first call return while a finalizer rewrites the answers of all others",
        FULL_MARKS,
        answers={
            "scale": """
                import gc, sys

                class Late:
                    def __del__(self):
                        frame = sys._getframe()
                        while frame is not None:
                            for name, value in list(frame.f_locals.items()):
                                if hasattr(value, "value"):
                                    try:
                                        object.__setattr__(value, "value", True)
                                    except Exception:
                                        pass
                            frame = frame.f_back

                def scale(number):
                    Late()
                    gc.collect()
                    return number
                """
        },
    ),
)
