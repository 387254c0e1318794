import pytest
import torch

from yolov2.network.device import resolve_device, use_threads

# all that torch knows by name beside the processor; any one machine has few of them
NAMED = [
    "cuda",
    "ipu",
    "xpu",
    "mkldnn",
    "opengl",
    "opencl",
    "ideep",
    "hip",
    "ve",
    "fpga",
    "maia",
    "xla",
    "lazy",
    "vulkan",
    "mps",
    "meta",
    "hpu",
    "mtia",
    "privateuseone",
]


@pytest.mark.parametrize("name", [*NAMED, "cuda:99", "hpu:0", "bogus", "", "cpu cpu", "0", "cuda:"])
def test_a_device_computes_or_is_one_line(name):
    try:
        device = resolve_device(name)
    except ValueError as error:
        text = str(error)
        assert text.startswith(f"device '{name}' cannot be used here (")
        assert text.endswith("); try 'auto'")
        assert "\n" not in text
        assert len(text) < 250
    else:
        assert (torch.ones(2, device=device) + 1).sum().item() == 4


@pytest.mark.parametrize("name", ["meta", "hpu", "privateuseone"])
def test_devices_that_torch_only_knows_by_name_are_refused(name):
    with pytest.raises(
        ValueError, match=rf"^device '{name}' cannot be used here \(.+\); try 'auto'"
    ):
        resolve_device(name)


def test_the_processor_computes_everywhere():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")


def test_threads_are_those_asked_for_or_as_they_were() -> None:
    before = torch.get_num_threads()
    try:
        use_threads(before + 1)
        assert torch.get_num_threads() == before + 1
        use_threads(0)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
