"""Settings of the machine that cannot be are refused, by name."""

import pytest

from yolov2.config.machine import CheckpointConfig, MachineConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", -1),
        ("threads", 1025),
        ("num_workers", -1),
        ("num_workers", 1025),
        ("log_every", 0),
        ("every_minutes", -0.1),
        ("every_minutes", float("nan")),
        ("every_steps", -1),
        ("keep", -1),
        ("keep", 1001),
    ],
)
def test_a_value_out_of_bounds_is_refused(name: str, value: float) -> None:
    section = MachineConfig if name in vars(MachineConfig()) else CheckpointConfig
    with pytest.raises(ValueError, match=f"^{name} must be"):
        section(**{name: value})
