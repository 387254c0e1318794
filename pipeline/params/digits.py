"""The section ``digits`` of ``params.yaml``."""

from dataclasses import dataclass

from yolov2.config.section import Section, require_between


@dataclass(frozen=True, kw_only=True)
class DigitsConfig(Section):
    """The embedded data set: how many scenes of which size, and what is in them.

    It is composed only where it is the data set that is used. ``image_size``, ``min_size`` and
    ``max_size`` are pixels, of a scene and of a digit; a scene holds ``min_objects`` to
    ``max_objects`` digits, each turned by at most ``rotation`` degrees. ``background_share`` of
    the scenes have none. The same ``seed`` gives the same files.
    """

    seed: int = 0
    image_size: int = 128
    train_scenes: int = 3000
    val_scenes: int = 500
    test_scenes: int = 600
    min_objects: int = 1
    max_objects: int = 3
    min_size: int = 44
    max_size: int = 72
    rotation: float = 15.0
    background_share: float = 0.02

    def __post_init__(self) -> None:
        require_between("seed", self.seed, 0, 2**32 - 1)
        require_between("image_size", self.image_size, 32, 320)
        for name in ("train_scenes", "val_scenes", "test_scenes"):
            require_between(name, self.__dict__[name], 1, 99_999)
        require_between("min_objects", self.min_objects, 1, 100)
        require_between("max_objects", self.max_objects, self.min_objects, 100)
        require_between("min_size", self.min_size, 8, self.image_size)
        require_between("max_size", self.max_size, self.min_size, self.image_size)
        require_between("rotation", self.rotation, 0, 90)
        require_between("background_share", self.background_share, 0, 1)
