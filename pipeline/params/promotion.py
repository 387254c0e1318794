"""The section ``promote`` of ``params.yaml``."""

from dataclasses import dataclass
from typing import Literal

from yolov2.config.section import Section, require_between

SEEDS_NEEDED = 3
"""Evaluations of one recipe, with different seeds, from which their spread is measured."""


@dataclass(frozen=True, kw_only=True)
class PromoteConfig(Section):
    """What a challenger has to prove before it becomes champion; AP is a share of 1.

    Every version must reach ``min_ap`` and ``min_ap50``; no class of at least
    ``min_class_objects`` objects may lose more AP than ``max_class_loss``. ``max_latency_ratio``
    bounds the CPU latency of the ONNX graph against the champion's, ``max_latency_ms`` at all;
    ``max_size_ratio`` and ``max_megabytes`` its size. The bootstrap is paired: ``resamples`` of the
    images, by ``seed``.

    ``margin`` is what the lower end of the AP difference's interval must exceed. ``seeds`` stands
    for the standard deviation of AP between seeds of the champion's recipe: measured where the
    store has three evaluations of it that differ in ``train.seed`` alone, else
    ``seed_spread``. A limit of 0 (``max_latency_ms``, ``max_megabytes``) is none.
    """

    min_ap: float = 0.05
    min_ap50: float = 0.1
    margin: float | Literal["seeds"] = "seeds"
    seed_spread: float = 0.01
    max_class_loss: float = 0.05
    min_class_objects: int = 50
    max_latency_ratio: float = 1.2
    max_latency_ms: float = 0.0
    max_size_ratio: float = 1.5
    max_megabytes: float = 0.0
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("min_ap", "min_ap50", "seed_spread", "max_class_loss"):
            require_between(name, self.__dict__[name], 0, 1)
        if self.margin != "seeds":
            require_between("margin", self.margin, -1, 1)
        for name in ("max_latency_ratio", "max_size_ratio"):
            require_between(name, self.__dict__[name], 0.1, 1000)
        for name in ("max_latency_ms", "max_megabytes"):
            require_between(name, self.__dict__[name], 0, 1e9)
        require_between("min_class_objects", self.min_class_objects, 1, 10**9)
        require_between("resamples", self.resamples, 100, 100_000)
        require_between("seed", self.seed, 0, 2**32 - 1)
