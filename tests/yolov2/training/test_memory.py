import pytest
import torch

from yolov2.network.device import TooLittleMemoryError, free_memory, is_out_of_memory
from yolov2.training import memory
from yolov2.training.memory import largest_batch, saved_bytes

CPU = torch.device("cpu")


def multiply(count: int) -> torch.Tensor:
    """Keeps its input of 1000 float32 an image, and its weight, for the backward pass."""
    weight = torch.ones(1000, requires_grad=True)
    return (torch.ones(count, 1000) * weight).sum()


def test_what_a_forward_pass_keeps() -> None:
    assert saved_bytes(multiply, 3) - saved_bytes(multiply, 2) == 4000


@pytest.mark.parametrize(("free", "expected"), [(4_000_000, 466), (40_000, 4), (10**9, 500)])
def test_the_largest_batch_that_fits(
    free: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 70 % of what is free, at 4000 bytes kept and half as many for gradients an image
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    assert largest_batch(multiply, CPU, limit=500) == expected


def test_not_even_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 5000)
    with pytest.raises(TooLittleMemoryError, match="one image takes .* lower model.image_size"):
        largest_batch(multiply, CPU)


def test_the_machines_memory_is_read() -> None:
    assert 2**20 < free_memory(CPU) < 2**50


def test_torchs_errors_are_recognised() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
    # of a network that oneDNN cannot compute
    assert not is_out_of_memory(
        RuntimeError("could not create a primitive descriptor for a matmul")
    )
