"""Telling people how a run ended: to any address that Apprise knows (webhook, Slack, mail, ...).

Addresses hold secrets, so they come from the environment variable ``PIPELINE_NOTIFY`` (separated
by blanks) or from the Prefect ``Secret`` block ``pipeline-notify``, never from a file of this
repository, and are never printed or logged.
"""

import logging
import os
from dataclasses import dataclass

from apprise import Apprise
from apprise.common import NotifyFormat, NotifyType
from prefect.blocks.system import Secret

ADDRESSES = "PIPELINE_NOTIFY"
BLOCK = "pipeline-notify"

_WORSE = {"failed": NotifyType.FAILURE, "cancelled": NotifyType.WARNING}


class NoticeError(RuntimeError):
    """A notice did not arrive; the message names the kinds of the addresses, nothing secret."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What people are told: ``occasion`` is one of ``flows.notify_on``; ``body`` is Markdown."""

    occasion: str
    title: str
    body: str


def addresses() -> list[str]:
    """Where notices go; empty where nothing is configured."""
    given = os.environ.get(ADDRESSES, "")
    if not given.strip():
        try:
            given = str(Secret.load(BLOCK).get())  # type: ignore[union-attr]
        except ValueError:  # no such block
            return []
    return given.split()


def send(notice: Notice, to: list[str]) -> None:
    """Send ``notice`` to every address.

    Raises:
        NoticeError: an address is not one of Apprise's, or did not take the notice.
    """
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would name parts of addresses
    lost = [_kind(address) for address in to if not _sent(notice, address)]
    if lost:
        raise NoticeError(
            f"{len(lost)} of {len(to)} addresses did not take the notice ({', '.join(lost)}):"
            f" check {ADDRESSES} or the block {BLOCK}, and that the service answers"
        )


def _sent(notice: Notice, address: str) -> bool:
    service = Apprise()
    return service.add(address) and bool(
        service.notify(
            title=notice.title,
            body=notice.body,
            body_format=NotifyFormat.MARKDOWN,
            notify_type=_WORSE.get(notice.occasion, NotifyType.INFO),
        )
    )


def _kind(address: str) -> str:
    """The service, without anything that could be secret."""
    scheme, sign, _ = address.partition("://")
    return f"{scheme}://..." if sign else "not an address"
