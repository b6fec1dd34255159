"""What a notebook's code finds around it at one moment, to be found again later."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Moment:
    """The names of a notebook as they are now, and switches that hold for the whole process.

    What a name stands for is kept, not copied: an array that is changed in place stays changed.

    Args:
        names: the notebook's global names.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = dict(names)
        self._numpy_errors = np.geterr()
        self._gradients = torch.is_grad_enabled()
        self._dtype = torch.get_default_dtype()
        self._folder = Path()
        with contextlib.suppress(OSError):  # the folder has been removed
            self._folder = Path.cwd()

    def restore(self, names: dict[str, Any]) -> None:
        """Make ``names`` and the switches what they were."""
        for name in names.keys() - self._names.keys():
            del names[name]
        names.update(self._names)
        np.seterr(**self._numpy_errors)
        torch.set_grad_enabled(self._gradients)
        torch.set_default_dtype(self._dtype)
        with contextlib.suppress(OSError):
            os.chdir(self._folder)
