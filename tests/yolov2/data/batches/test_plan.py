from dataclasses import replace

import numpy as np
import pytest

from yolov2.config.augment import AugmentConfig
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.data.batches.plan import Plan, Step, micro_batches, scales


def plan(**config: object) -> Plan:
    recipe = {"epochs": 3, "seed": 7, "augment": AugmentConfig(mosaic_off_epochs=1)}
    return Plan(
        size=10,
        nominal_batch=4,
        sides=(64, 96, 128),
        base_side=96,
        config=TrainConfig(**(recipe | config)),  # type: ignore[arg-type]
    )


def positions(steps: list[Step]) -> list[int]:
    return [draw.position for step in steps for draw in step.draws]


def test_an_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    steps = list(plan().steps(0))
    assert [(s.index, s.epoch, s.position, len(s.draws)) for s in steps] == [
        (0, 0, 0, 4), (1, 0, 4, 4), (2, 0, 8, 2),
        (3, 1, 0, 4), (4, 1, 4, 4), (5, 1, 8, 2),
        (6, 2, 0, 4), (7, 2, 4, 4), (8, 2, 8, 2),
    ]  # fmt: skip
    epochs = [positions([s for s in steps if s.epoch == epoch]) for epoch in range(3)]
    assert [sorted(each) for each in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    for step in steps:
        assert {draw.closing for draw in step.draws} == {step.epoch == 2}


@pytest.mark.parametrize("nominal_batch", [1, 4, 10])
def test_partners_are_any_other_images_of_the_data_set(nominal_batch: int) -> None:
    steps = list(replace(plan(epochs=40), nominal_batch=nominal_batch).steps(0))
    partners = np.array([(d.position, *d.partners) for step in steps for d in step.draws])  # (n, 5)
    for position in range(10):
        met = partners[partners[:, 0] == position, 1:].ravel()
        values, counts = np.unique(met, return_counts=True)
        assert values.tolist() == [other for other in range(10) if other != position]
        assert counts.min() > 160 / 9 / 3  # 160 partners, each other image as often


def test_the_only_image_is_its_own_partner() -> None:
    (step,) = replace(plan(epochs=1), size=1).steps(0)
    assert step.draws[0].partners == (0, 0, 0, 0)


@pytest.mark.parametrize(("epoch", "position"), [(0, 4), (1, 0), (1, 8), (1, 10), (2, 8)])
def test_the_rest_of_a_training_is_the_end_of_the_whole(epoch: int, position: int) -> None:
    whole = list(plan().steps(0))
    rest = list(plan().steps(epoch, position))
    assert rest == whole[len(whole) - len(rest) :]
    assert len(rest) == {(0, 4): 8, (1, 0): 6, (1, 8): 4, (1, 10): 3, (2, 8): 1}[epoch, position]


def test_the_size_stays_for_some_steps() -> None:
    config = {"multi_scale": MultiScaleConfig(every=3), "epochs": 200}
    sides = [step.draws[0].side for step in plan(**config).steps(0)]
    blocks = np.array(sides).reshape(-1, 3)
    assert (blocks == blocks[:, :1]).all()
    values, counts = np.unique(blocks[:, 0], return_counts=True)
    assert values.tolist() == [64, 96, 128]
    assert counts.min() > 40  # of 200, each size a third
    still = {"multi_scale": MultiScaleConfig(every=0)}
    assert {step.draws[0].side for step in plan(**still).steps(0)} == {96}


def test_scales_are_the_papers() -> None:
    assert scales(MultiScaleConfig(), 640) == tuple(range(320, 641, 32))
    assert scales(MultiScaleConfig(smallest=0.75, largest=1.5), 128) == (96, 128, 160, 192)
    assert scales(MultiScaleConfig(every=0), 128) == (128,)
    assert scales(MultiScaleConfig(smallest=0.1), 128)[0] == 64  # batch norm needs some cells


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_the_shares_of_all_processes_make_up_the_step(world: int, batch_size: int) -> None:
    for step in plan().steps(2):
        seen, counts = [], set()
        for rank in range(world):
            parts = micro_batches(step, batch_size, rank=rank, world=world)
            assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
            counts.add(len(parts))
            sizes = [len(part.draws) for part in parts]
            assert max(sizes) <= batch_size
            assert max(sizes) - min(sizes) <= 1
            seen += [draw for part in parts for draw in part.draws]
        assert sorted(seen) == sorted(step.draws)
        assert len(counts) == 1


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(2, [[2, 1, 2], [1, 2, 1]]), (1, [[1] * 5, [1, 1, 0, 1, 1]]), (5, [[5], [4]])],
)
def test_all_processes_have_as_many_parts(batch_size: int, sizes: list[list[int]]) -> None:
    nine = replace(plan(), size=9, nominal_batch=9)
    step = next(nine.steps(0))
    shares = [micro_batches(step, batch_size, rank=rank, world=2) for rank in (0, 1)]
    assert [[len(part.draws) for part in parts] for parts in shares] == sizes


def test_a_process_without_a_share_has_an_empty_part() -> None:
    last = list(plan().steps(0))[2]
    (part,) = micro_batches(last, 4, rank=2, world=3)
    assert (part.draws, part.is_last) == ((), True)
