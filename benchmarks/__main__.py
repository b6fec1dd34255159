"""Runs the benchmarks: ``python -m benchmarks [NAME ...] [--gpu]``."""

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
        if module.name.startswith("lab")
    ]
    found = {module.__name__.rpartition(".")[2]: module for module in modules}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found)}")
    parser.add_argument("--gpu", action="store_true", help="only what has a GPU size, on a GPU")
    options = parser.parse_args()
    if unknown := set(options.names) - found.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    if options.gpu and device() != "cuda":
        parser.error("torch sees no GPU here")
    for name, module in found.items():
        wanted = name in options.names or not options.names
        if wanted and (not options.gpu or getattr(module, "NEEDS_GPU", False)):
            module.main([])


if __name__ == "__main__":
    main()
