"""The yardstick of the speed: how much a network multiplies."""

import torch

from yolov2.network.summary import summarise
from yolov2.network.yolov2 import YOLOv2
from yolov2.training.throughput import products_per_pixel


def test_products_are_those_of_the_summary_and_the_network_stays_as_it_is() -> None:
    network = YOLOv2(3, [(1.0, 1.0), (2.0, 3.0)], width=0.25).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert products_per_pixel(network) * 416**2 == round(summarise(network, 416).gmac * 1e9)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
