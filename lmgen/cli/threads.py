"""In how many threads numpy multiplies matrices, chosen before it is loaded."""

import os

THREADS = {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}
"""The environment variables by which OpenBLAS, which most numpy packages bring along, can be told."""


def use_one_thread() -> None:
    """
    Have OpenBLAS start no threads, unless the user has told it how many.

    It starts them when it is loaded, which takes as long as all the rest of numpy.
    """
    if not THREADS & os.environ.keys():
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
