"""The detector over a loader's batches, also where the memory does not take them whole."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.yolov2.scenes import squares
from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.loader import EvaluationLoader
from yolov2.detection.predict import predict
from yolov2.network.device import TooLittleMemoryError

CPU = torch.device("cpu")
ENDS = [
    RuntimeError("could not create a primitive"),  # oneDNN's
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a memory object"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
]


class Small:
    """A network that finds one box an image, and has memory for so many images at a time."""

    def __init__(self, most: int, end: Exception) -> None:
        self.most, self.end, self.given = most, end, list[int]()

    def __call__(self, images: Tensor) -> Tensor:
        self.given.append(len(images))
        if len(images) > self.most:
            raise self.end
        found = torch.tensor([[32.0, 32.0, 8.0, 8.0, 0.9, 1.0, 0.0]]).repeat(len(images), 1, 1)
        found[:, 0, 2] += images.mean(dim=(1, 2, 3)) * 8  # (B,): each image has a width of its own
        return found


def loader(root: Path) -> EvaluationLoader:
    dataset = DetectionDataset(squares(root, train=13), root, "train", 64)
    return EvaluationLoader(dataset, batch_size=8, num_workers=0)


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_batch_that_the_memory_does_not_take_is_halved(end: Exception, tmp_path: Path) -> None:
    images, told = loader(tmp_path), list[str]()
    whole = predict(Small(8, end), images, EvaluateConfig(), CPU)
    small = Small(3, end)
    halved = predict(small, images, EvaluateConfig(), CPU, tell=told.append)
    assert small.given == [8, 4, 2, 2, 2, 2, 2, 2, 1]
    assert list(halved) == list(whole) == list(range(13))
    for image_id, detections in whole.items():
        assert halved[image_id].boxes_xyxy == pytest.approx(detections.boxes_xyxy)
    assert [line.split(" (")[0] for line in told] == [
        "out of memory on cpu: 8 images of 64x64 pixels at a time do not fit",
        "out of memory on cpu: 4 images of 64x64 pixels at a time do not fit",
    ]
    assert all(line.endswith(" at a time from here on") for line in told)
    assert " GiB are free): 2 at a time" in told[1]


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_memory_that_does_not_take_one_image(end: Exception, tmp_path: Path) -> None:
    small = Small(0, end)
    text = (
        r"^out of memory on cpu: not even one image of 64x64 pixels fits \(\d+\.\d GiB are free\)\."
        r" What helps: a smaller model\.image_size or model\.width, fewer loader workers, nothing"
        r" else on this machine$"
    )
    with pytest.raises(TooLittleMemoryError, match=text):
        predict(small, loader(tmp_path), EvaluateConfig(), CPU)
    assert small.given == [8, 4, 2, 1]


def test_another_error_is_no_lack_of_memory(tmp_path: Path) -> None:
    small = Small(0, RuntimeError("the size of tensor a must match the size of tensor b"))
    with pytest.raises(RuntimeError, match="must match"):
        predict(small, loader(tmp_path), EvaluateConfig(), CPU)
    assert small.given == [8]
