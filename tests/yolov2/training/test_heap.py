"""Freed memory is not fetched from the system anew."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from yolov2.training.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    for _ in range(20):
        torch.ones(16, 2**20)  # 64 MiB: 16384 pages
work()  # until the heap is large enough
before = pages()
work()
print((pages() - before) // 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_tensors_of_the_same_size_take_no_new_pages() -> None:
    kept, anew = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, how])) for how in ("kept", "not")
    )
    assert kept < 100
    assert anew > 10 * kept
