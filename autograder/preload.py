"""Imported once by the server that worker processes are forked from: they share what it holds.

A fork copies one thread, so nothing here may start a second one: the libraries below would, one
for each core, if the variables did not tell them otherwise before they are loaded.
"""

import os
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; grading decides
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
)

import gc  # noqa: E402

gc.disable()  # imports make next to no garbage

from autograder import judge  # noqa: E402, F401

gc.freeze()  # a collection would touch, and so copy, what workers share
gc.enable()
