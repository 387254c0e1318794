"""A batch norm over all processes that runs on a CPU, where torch's ``SyncBatchNorm`` does not.

Letters of the shapes: B images, C channels, H W rows and columns.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


class _Sum(torch.autograd.Function):
    """Elementwise sums over all processes, of the gradients as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


class SummedBatchNorm(nn.BatchNorm2d):
    """Exchanges its statistics once a forward and once a backward pass, as ``SyncBatchNorm``.

    A process whose forward passes are more or fewer than the others' waits for ever, or adds up
    what does not belong together.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), of which B may be 0, normalised."""
        if not self.training:
            return super().forward(images)
        count = images.new_tensor([images.numel() / self.num_features], dtype=torch.float64)
        exact = images.double()
        own = torch.cat((exact.sum((0, 2, 3)), exact.square().sum((0, 2, 3)), count))
        sums = _Sum.apply(own)  # (2C + 1,)
        mean, square = sums[: 2 * self.num_features].view(2, -1) / sums[-1]  # (C,)
        variance, unbiased = square - mean.square(), sums[-1] / (sums[-1] - 1)
        with torch.no_grad():
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((variance * unbiased).float(), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight / (variance + self.eps).sqrt()  # (C,)
        shift = self.bias - mean * scale
        return (exact * scale[:, None, None] + shift[:, None, None]).float()


def summed(network: nn.Module) -> nn.Module:
    """``network`` with each of its batch norms such a one."""
    for name, module in network.named_modules():
        if type(module) is nn.BatchNorm2d:
            new = SummedBatchNorm(module.num_features, eps=module.eps, momentum=module.momentum)
            new.load_state_dict(module.state_dict())
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, new)
    return network
