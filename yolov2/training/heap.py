"""Memory that a training step frees is kept for the next one."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Numbers of glibc's ``mallopt`` (malloc.h)."""


def keep_freed_memory() -> None:
    """Let this process keep what it frees, where its C library is glibc; elsewhere do nothing.

    Otherwise every large tensor on the CPU comes from the system and goes back to it in each
    step, and the system clears its pages anew: a fifth of a step's processor time. The process
    takes a few per cent more memory, and what it has taken stays with it until it ends.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(MMAP_MAX, 0)  # large blocks come from the heap as well
    mallopt(TRIM_THRESHOLD, -1)  # and its end is never handed back
