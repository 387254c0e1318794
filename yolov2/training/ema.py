"""A moving average of the weights: torch's ``AveragedModel`` with a warm-up of its decay."""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


def average_of(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of ``network`` that ``update_parameters(network)`` moves towards it.

    After n updates the decay is ``min(decay, (1 + n) / (10 + n))``, TensorFlow's rule, so that
    the random weights of the beginning are forgotten. Running means and variances are averaged
    like weights.
    """

    def move(averages: Tensors, current: Tensors, updates: Tensor | int) -> None:
        count = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(averages, current, count)

    return AveragedModel(network, multi_avg_fn=move, use_buffers=True)
