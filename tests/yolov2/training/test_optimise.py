"""One optimiser step: what it learns does not depend on how its images are portioned."""

from pathlib import Path

import pytest
import torch

from tests.yolov2.trainer import ANCHORS, changed, small_inputs
from yolov2.config.train import TrainConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.loader import load_batches
from yolov2.data.batches.plan import Plan, Step, micro_batches
from yolov2.network.yolov2 import YOLOv2
from yolov2.training.ema import average_of
from yolov2.training.loss import yolov2_loss
from yolov2.training.optimise import About, Optimiser
from yolov2.training.precision import resolve_format
from yolov2.training.world import World

CPU = torch.device("cpu")


@pytest.fixture
def frozen_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch norm uses its running statistics, so that images do not see each other."""
    monkeypatch.setattr(
        torch.nn.BatchNorm2d, "train", lambda self, mode=True: torch.nn.Module.train(self, False)
    )


def step_of(
    root: Path, config: TrainConfig, batch_size: int
) -> tuple[Optimiser, list[float], Step]:
    """An optimiser after one step over ten images, its sums, and the step."""
    inputs = small_inputs(root)
    dataset = DetectionDataset(inputs.tables, inputs.root, "train", 64, augment=config.augment)
    plan = Plan(size=10, nominal_batch=10, sides=(64,), base_side=64, config=config)
    step = next(plan.steps(0))
    parts = micro_batches(step, batch_size)
    batches = load_batches(dataset, [part.draws for part in parts], num_workers=0, pin_memory=False)
    torch.manual_seed(0)
    optimiser = Optimiser(YOLOv2(2, ANCHORS, width=0.125), config, CPU, World())
    sums: list[float] = []
    optimiser.step(
        zip(parts, batches, strict=True),
        10,
        lr=0.1,
        done=sums.extend,
        about=About(epoch=1, step=1, names={}),
    )
    return optimiser, sums, step


@pytest.mark.usefixtures("frozen_statistics")
def test_accumulated_batches_are_one_batch(tmp_path: Path) -> None:
    config = changed(small_inputs(tmp_path).train, {"ema_decay": 0.0, "clip_norm": 1.0})
    whole, sums, _ = step_of(tmp_path, config, 10)
    for batch_size in (1, 3, 5):
        parts, part_sums, _ = step_of(tmp_path, config, batch_size)
        assert part_sums == pytest.approx(sums, rel=1e-5)
        for name, weight in whole.network.state_dict().items():
            torch.testing.assert_close(parts.network.state_dict()[name], weight, msg=name)


@pytest.mark.usefixtures("frozen_statistics")
def test_the_step_is_sgds_on_the_mean_loss(tmp_path: Path) -> None:
    settings = {"ema_decay": 0.0, "clip_norm": 0.0, "weight_decay": 0.0}
    config = changed(small_inputs(tmp_path).train, settings)
    optimiser, sums, step = step_of(tmp_path, config, 4)

    inputs = small_inputs(tmp_path)
    dataset = DetectionDataset(inputs.tables, inputs.root, "train", 64, augment=config.augment)
    (batch,) = load_batches(dataset, [step.draws], num_workers=0, pin_memory=False)
    torch.manual_seed(0)
    network = YOLOv2(2, ANCHORS, width=0.125)
    network.train()
    raw = network(batch.images / 255)
    loss = yolov2_loss(raw, batch.targets, network.anchors, config.loss)
    loss.total.backward()
    assert sums[0] == pytest.approx(10 * loss.total.item(), rel=1e-5)
    assert sums[5] == 10
    for name, weight in network.named_parameters():
        assert weight.grad is not None
        expected = weight.detach() - 0.1 * weight.grad
        moved = dict(optimiser.network.named_parameters())[name]
        torch.testing.assert_close(moved.detach(), expected, rtol=1e-4, atol=1e-6, msg=name)


def test_rewind_brings_back_the_running_statistics(tmp_path: Path) -> None:
    config = changed(small_inputs(tmp_path).train, {"ema_decay": 0.0})
    optimiser, _, _ = step_of(tmp_path, config, 10)
    before = {name: t.clone() for name, t in optimiser.network.state_dict().items()}

    def cut_off():  # type: ignore[no-untyped-def]
        inputs = small_inputs(tmp_path)
        dataset = DetectionDataset(inputs.tables, inputs.root, "train", 64)
        plan = Plan(size=10, nominal_batch=4, sides=(64,), base_side=64, config=config)
        (part,) = micro_batches(next(plan.steps(0)), 4)
        (batch,) = load_batches(dataset, [part.draws], num_workers=0, pin_memory=False)
        yield part, batch
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimiser.step(cut_off(), 10, lr=0.1, done=print, about=About(epoch=1, step=2, names={}))
    changed_names = [
        name
        for name, tensor in optimiser.network.state_dict().items()
        if not torch.equal(tensor, before[name])
    ]
    assert changed_names
    assert all("running" in name or "num_batches" in name for name in changed_names)
    optimiser.rewind()
    after = optimiser.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(p.grad is None for p in optimiser.network.parameters())


def test_the_average_by_hand() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(1.0)
    average = average_of(module, 0.5)
    values = []
    for weight in (1.0, 3.0, 5.0, 7.0):
        module.weight.data.fill_(weight)
        average.update_parameters(module)
        values.append(average.module.weight.item())
    # the first is a copy; then decay min(.5, (1+n)/(10+n)) is 2/11, 3/12, 4/13
    second = 1 * 2 / 11 + 3 * 9 / 11
    third = second * 3 / 12 + 5 * 9 / 12
    fourth = third * 4 / 13 + 7 * 9 / 13
    assert values == pytest.approx([1.0, second, third, fourth])


def test_float16_needs_a_card() -> None:
    with pytest.raises(ValueError, match="amp: fp16 needs a CUDA card, and the device is cpu"):
        resolve_format(TrainConfig(amp="fp16"), CPU)
    assert resolve_format(TrainConfig(amp="bf16"), CPU) == "bf16"
    assert resolve_format(TrainConfig(amp="off"), CPU) == "off"


def test_colours_on_the_device_are_those_of_the_readers(tmp_path: Path) -> None:
    inputs = small_inputs(tmp_path)
    pixels = []
    for place in ("cpu", "device"):
        config = changed(inputs.train, {"augment.augment_on": place, "augment.flip": 0.5})
        dataset = DetectionDataset(inputs.tables, inputs.root, "train", 64, augment=config.augment)
        plan = Plan(size=10, nominal_batch=10, sides=(64,), base_side=64, config=config)
        (batch,) = load_batches(
            dataset, [next(plan.steps(0)).draws], num_workers=0, pin_memory=False
        )
        optimiser = Optimiser(YOLOv2(2, ANCHORS, width=0.125), config, CPU, World())
        seen: list[torch.Tensor] = []
        optimiser.model = lambda images, seen=seen: seen.append(images) or images  # type: ignore[func-returns-value]
        optimiser.forward(batch)
        pixels.append(seen[0])
    assert pixels[0].shape == (10, 3, 64, 64)
    assert (pixels[0] - pixels[1]).abs().max() < 1.01 / 255  # one is rounded to whole numbers
    assert not torch.equal(pixels[0], pixels[1])
