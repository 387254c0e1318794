"""Darknet-19 without its classifier: the trunk of YOLOv2.

Letters of the shapes: B images, S side of the input in pixels.
Layer numbers in comments are those of darknet's ``yolov2.cfg``.
"""

from torch import Tensor, nn

LEAKY_SLOPE = 0.1
BATCH_NORM_EPS = 1e-5


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded to a multiple of 8, at least 8 (32 stays 32 at 1)."""
    return max(8, round(channels * width / 8) * 8)


def convolution(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution without bias, batch norm, leaky ReLU 0.1; the map keeps its size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS),
        nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
    )


def _pooled(layers: list[nn.Module]) -> list[nn.Module]:
    """A stage and its 2x2 max-pooling.

    The last leaky ReLU comes after the pooling rather than before it: as it never falls the
    result is the same to the bit, from a quarter of the numbers.
    """
    last = layers[-1]
    assert isinstance(last, nn.Sequential)
    *rest, activation = last
    return [*layers[:-1], nn.Sequential(*rest), nn.Sequential(nn.MaxPool2d(2), activation)]


def _stage(in_channels: int, out_channels: int, convolutions: int) -> list[nn.Module]:
    """3x3 convolutions with 1x1 bottlenecks of half the channels between them."""
    layers: list[nn.Module] = [convolution(in_channels, out_channels, 3)]
    for _ in range(convolutions // 2):
        layers.append(convolution(out_channels, out_channels // 2, 1))
        layers.append(convolution(out_channels // 2, out_channels, 3))
    return layers


class Darknet19(nn.Module):
    """The 18 convolutions of Darknet-19 (Redmon and Farhadi 2016, table 6) in two halves.

    ``early`` ends before the fifth pooling, at stride 16, where the passthrough branches off;
    ``late`` goes on to stride 32.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c32, c64, c128, c256, c512, c1024 = (
            scaled(channels, width) for channels in (32, 64, 128, 256, 512, 1024)
        )
        self.early_channels = c512
        self.late_channels = c1024
        self.early = nn.Sequential(
            *_pooled(_stage(3, c32, 1)),  # 0
            *_pooled(_stage(c32, c64, 1)),  # 2
            *_pooled(_stage(c64, c128, 3)),  # 4-6
            *_pooled(_stage(c128, c256, 3)),  # 8-10
            *_stage(c256, c512, 5),  # 12-16
        )
        self.late = nn.Sequential(nn.MaxPool2d(2), *_stage(c512, c1024, 5))  # 17-22

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S) -> maps (B, 512, S/16, S/16) and (B, 1024, S/32, S/32) at width 1."""
        early = self.early(images)
        return early, self.late(early)
