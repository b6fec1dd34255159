"""Runs the benchmarks: ``python -m benchmarks [NAME ...] [--gpu]``.

Without a name, all that measure labs; ``grading`` stands for all that measure grading.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import benchmarks
from labkit.runtime import device


def main() -> None:
    modules = [
        importlib.import_module(f"benchmarks.{module.name}")
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name.startswith(("lab", "grading_"))
    ]
    found = {module.__name__.rpartition(".")[2]: module for module in modules}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of grading, {', '.join(found)}")
    parser.add_argument("--gpu", action="store_true", help="only what has a GPU size, on a GPU")
    options = parser.parse_args()
    grading = {name for name in found if name.startswith("grading_")}
    names = set(options.names) or found.keys() - grading
    if "grading" in names:
        names = names - {"grading"} | grading
    if unknown := names - found.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    if options.gpu and device() != "cuda":
        parser.error("torch sees no GPU here")
    for name, module in found.items():
        if name in names and (not options.gpu or getattr(module, "NEEDS_GPU", False)):
            module.main([])


if __name__ == "__main__":
    main()
