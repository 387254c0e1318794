"""What the pipeline's commands answer to a flow that asks them."""

from dataclasses import dataclass

from pipeline.params.flows import Occasion

AWAITING: Occasion = "awaiting approval"
"""The verdict on a model that the rules accept and a person has yet to agree to."""


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What ``pipeline promote`` says; see its ``--summary``."""

    verdict: str
    sentence: str
    version: int
    page: str | None

    @property
    def occasion(self) -> Occasion:
        """What people are told of."""
        if self.verdict == "declined":
            return "declined"
        promoted = ("promoted", "forced", "champion already")
        return "promoted" if self.verdict in promoted else "refused"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What ``pipeline standing`` says of the workspace's model; see its ``--summary``."""

    pending: bool
    sentence: str
