"""Choose the number of threads of numpy's matrix products; it must be set before numpy is imported."""

import os

THREADS = {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}
"""Environment variables that set the number of threads of OpenBLAS, which most numpy packages include."""


def use_one_thread() -> None:
    """
    Keep OpenBLAS from starting threads, unless the user has set their number.

    Starting threads takes as long as importing the rest of numpy.
    """
    if not THREADS & os.environ.keys():
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
