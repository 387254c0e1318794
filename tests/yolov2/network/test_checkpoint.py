"""Checkpoints: complete for inference, safe to load, never half written."""

import os
from pathlib import Path

import pytest
import torch

from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.network import checkpoint
from yolov2.network.checkpoint import load_detector, read_checkpoint, save_checkpoint
from yolov2.network.yolov2 import YOLOv2


def test_a_lone_file_detects_as_the_network_did(tmp_path: Path) -> None:
    network = YOLOv2(3, DEFAULT_ANCHORS[:4], width=0.125).eval()
    path = tmp_path / "deep" / "best.pt"
    save_checkpoint(path, network, class_names=("a", "b", "c"), image_size=96)
    detector = load_detector(path)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(detector.network(images), network(images), rtol=0, atol=0)
    assert detector.class_names == ("a", "b", "c")
    assert detector.image_size == 96
    assert not detector.network.training
    torch.testing.assert_close(torch.tensor(detector.anchors), network.anchors)
    assert torch.load(path, weights_only=True)["architecture"]["name"] == "yolov2"


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = YOLOv2(1, DEFAULT_ANCHORS, width=0.125)
    path = tmp_path / "last.pt"
    save_checkpoint(path, network, class_names=("a",), image_size=32)
    before = path.read_bytes()

    def full_disk(content: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, network, class_names=("b",), image_size=64)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_garbage_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="x.pt is no readable checkpoint"):
        read_checkpoint(path)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {}}, path)
    with pytest.raises(ValueError, match="no checkpoint of this project"):
        load_detector(path)


def test_weights_of_another_architecture_are_one_line(tmp_path: Path) -> None:
    network, path = YOLOv2(1, DEFAULT_ANCHORS, width=0.125), tmp_path / "x.pt"
    save_checkpoint(path, network, class_names=("a",), image_size=32)
    content = torch.load(path, weights_only=True)
    del content["sha256"]
    for change, reason in (
        (
            {"architecture": content["architecture"] | {"width": 0.25}},
            "RuntimeError: size mismatch",
        ),
        ({"architecture": {}}, "KeyError: 'num_classes'"),
        ({"model": {}}, "RuntimeError: Missing key"),
        ({"class_names": None}, "TypeError: "),
    ):
        torch.save(content | change | {"format": 1}, path)
        with pytest.raises(ValueError, match="x.pt: the weights do not fit the network") as error:
            load_detector(path)
        assert reason in str(error.value)
        assert "\n" not in str(error.value)


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint at .*nowhere.pt"):
        load_detector(tmp_path / "nowhere.pt")


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    network = YOLOv2(1, DEFAULT_ANCHORS, width=0.125)
    path = tmp_path / "x.pt"
    training = {"momenta": [torch.arange(3.0)], "step": 7, "records": {"a": [{"b": 0.5}]}}
    save_checkpoint(path, network, class_names=("a",), image_size=32, training=training)
    assert read_checkpoint(path)["training"]["step"] == 7
    content = torch.load(path, weights_only=True)
    content["training"]["momenta"][0][1] += 1e-6
    torch.save(content, path)
    with pytest.raises(ValueError, match="x.pt is damaged: its content does not fit its checksum"):
        read_checkpoint(path)


def test_checkpoints_of_the_first_format_are_read(tmp_path: Path) -> None:
    network = YOLOv2(1, DEFAULT_ANCHORS, width=0.125)
    save_checkpoint(tmp_path / "x.pt", network, class_names=("a",), image_size=32)
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    del content["sha256"]
    torch.save(content | {"format": 1}, tmp_path / "x.pt")
    assert load_detector(tmp_path / "x.pt").class_names == ("a",)
