"""Work beside the network is in order, bounded, and its mistakes are not lost."""

import threading

import pytest

from tests.yolov2.detection.stand_in import CentrePixel, detector, grey
from yolov2.detection.background import Background, ordered_map
from yolov2.detection.inputs.frames import Unreadable
from yolov2.detection.inputs.sources import find_inputs
from yolov2.detection.stream import detect_inputs


def test_results_come_in_order_and_items_are_not_taken_far_ahead():
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    results = ordered_map(lambda i: i * i, items(), workers=4, ahead=6)
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert len(taken) <= 10 + 6
    results.close()
    assert list(ordered_map(abs, [-2, -1], workers=1, ahead=0)) == [2, 1]


def test_a_mistake_comes_where_the_result_would():
    results = ordered_map(lambda i: 1 // i, [1, 0, 1], workers=2, ahead=3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_calls_in_the_background_wait_when_there_are_too_many():
    release, running = threading.Event(), []
    background = Background(workers=1, waiting=2)
    for i in range(2):
        background(lambda i=i: (release.wait(), running.append(i)))
    helper = threading.Timer(0.05, release.set)
    helper.start()
    background(running.append, 2)  # waits until the first is done
    assert running[0] == 0
    background.close()
    helper.join()
    assert running == [0, 1, 2]


def test_what_a_call_raises_is_raised_at_the_end_if_not_before():
    background = Background(workers=1, waiting=2)
    background(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        background.close()


def test_batches_are_full_whatever_cannot_be_read(tmp_path):
    for i, name in enumerate("abcdefg"):
        grey(200 + i).save(tmp_path / f"{name}.png")
    for name in "bcf":
        (tmp_path / f"{name}.png").write_text("text")
    network = CentrePixel()
    results = list(detect_inputs(detector(network, batch_size=3), find_inputs([str(tmp_path)])))
    assert network.batches == [3, 1]
    assert [result.name[0] for result in results] == list("abcdefg")
    assert [isinstance(result, Unreadable) for result in results] == [
        i in (1, 2, 5) for i in range(7)
    ]
    found = [result for result in results if not isinstance(result, Unreadable)]
    assert [result.number for result in found] == [0, 3, 4, 6]
    scores = [round(255 * float(result.detections.scores[0])) for result in found]
    assert scores == [200, 203, 204, 206]
