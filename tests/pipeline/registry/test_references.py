"""What people name; versions and runs in a store are in test_models and test_compare."""

import pytest

from pipeline.registry.references import find_candidate
from tests.pipeline.tracked import CONFIG
from yolov2.runtime.model_file import SUFFIXES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_model_file_is_known_as_a_file(suffix: str) -> None:
    with pytest.raises(ValueError, match=rf"^gone\{suffix}: no such file; name a checkpoint, a ve"):
        find_candidate(CONFIG, f"gone{suffix}")
