"""The network against the figures of the specification."""

import pytest
import torch
from torch import nn

from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.network.decode import DecodedYOLOv2, decode
from yolov2.network.summary import summarise
from yolov2.network.yolov2 import YOLOv2


@pytest.fixture(scope="module")
def full() -> YOLOv2:
    return YOLOv2(80, DEFAULT_ANCHORS)


def test_full_network_has_the_published_size(full: YOLOv2) -> None:
    summary = summarise(full, 640)
    assert summary.parameters == 49_291_721
    assert round(summary.gmac, 2) == 34.16
    assert summary.grid == (20, 20)
    assert summary.max_detections == 2000


def test_layer_table_adds_up_and_matches_darknet(full: YOLOv2) -> None:
    summary = summarise(full, 416)
    convolutions = [layer for layer in summary.layers if layer.kind.startswith("conv")]
    assert len(convolutions) == 18 + 2 + 1 + 1 + 1
    assert sum(layer.parameters for layer in convolutions) == summary.parameters
    # darknet's yolov2.cfg, layers 0, 16 and 22: floats less the two running statistics a channel
    by_name = {layer.name: layer for layer in convolutions}
    assert by_name["trunk.early.0.0"].parameters == 992 - 2 * 32
    assert by_name["trunk.early.0.0"].output == (32, 416, 416)
    last_early = convolutions[12]
    assert last_early.parameters == 1_181_696 - 2 * 512
    assert last_early.output == (512, 26, 26)
    end_of_trunk = convolutions[17]
    assert end_of_trunk.parameters == 4_722_688 - 2 * 1024
    assert end_of_trunk.output == (1024, 13, 13)
    # 0.299 BFLOP in darknet's count, where a multiply-accumulate is two
    assert round(2 * convolutions[0].macs / 1e9, 3) == 0.299


def test_output_shape_with_all_sizes_different() -> None:
    network = YOLOv2(4, DEFAULT_ANCHORS[:3], width=0.125).eval()
    assert network(torch.rand(2, 3, 160, 224)).shape == (2, 3, 5, 7, 9)


def test_side_that_is_no_multiple_of_32_is_refused() -> None:
    network = YOLOv2(1, DEFAULT_ANCHORS, width=0.125)
    with pytest.raises(ValueError, match="multiples of 32, not 100x128"):
        network(torch.rand(1, 3, 100, 128))


def test_anchors_must_be_positive_pairs() -> None:
    with pytest.raises(ValueError, match="positive widths and heights"):
        YOLOv2(1, [(1.0, 0.0)])


def test_every_weight_reaches_the_output() -> None:
    network = YOLOv2(2, DEFAULT_ANCHORS, width=0.125)
    network(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_passthrough_keeps_the_stride_16_detail() -> None:
    """Space-to-depth: an output cell holds the four pixels of its 2x2 square."""
    unshuffle = YOLOv2(1, DEFAULT_ANCHORS, width=0.125).passthrough[0]
    assert isinstance(unshuffle, nn.PixelUnshuffle)
    cell = unshuffle(torch.arange(16.0).view(1, 1, 4, 4))
    assert cell[0, :, 0, 1].tolist() == [2.0, 3.0, 6.0, 7.0]


def test_decode_by_hand() -> None:
    """One anchor of 2x3 cells on a grid of 2 rows and 3 columns; the slot in row 1, column 2."""
    raw = torch.zeros(1, 1, 2, 3, 7)
    raw[0, 0, 1, 2] = torch.tensor([0.0, torch.logit(torch.tensor(0.25)), 0.0, 0.6931472, 0, 2, -2])
    decoded = decode(raw, torch.tensor([[2.0, 3.0]]))
    assert decoded.shape == (1, 6, 7)
    expected = [2.5 * 32, 1.25 * 32, 2 * 32, 6 * 32, 0.5, 0.8807970, 0.1192029]
    torch.testing.assert_close(decoded[0, 5], torch.tensor(expected))


def test_decoded_sizes_stay_finite_for_wild_logits() -> None:
    raw = torch.full((1, 1, 1, 1, 6), 1e4)
    assert torch.isfinite(decode(raw, torch.tensor([[10.0, 10.0]]))).all()


def test_decoded_network_flattens_anchor_row_column() -> None:
    network = YOLOv2(2, DEFAULT_ANCHORS, width=0.125).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        raw, flat = network(images), DecodedYOLOv2(network)(images)
    assert flat.shape == (1, 5 * 2 * 3, 7)
    index = (3 * 2 + 1) * 3 + 2  # anchor 3, row 1, column 2
    torch.testing.assert_close(flat[0, index, 4:], raw[0, 3, 1, 2, 4:].sigmoid())
