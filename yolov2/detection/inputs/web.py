"""An image or video behind an http address, fetched because somebody named it on a command line.

Nothing else in ``yolov2`` opens a connection.
"""

import sys
from collections.abc import Callable
from concurrent.futures import Future
from email.message import Message
from http.client import HTTPException
from mimetypes import guess_extension
from pathlib import Path, PurePosixPath
from string import punctuation
from threading import Thread
from typing import BinaryIO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

from yolov2.config.section import require
from yolov2.detection.inputs.kinds import fitting

T = TypeVar("T")

TIMEOUT_SECONDS = 20.0
"""How long the server may take to connect, and between two pieces of its answer."""

TOTAL_SECONDS = 300.0
"""How long an address may take in all: a server that sends a byte now and then is never late."""

MOST_BYTES = 1 << 30
CHUNK_BYTES = 1 << 18
SCHEMES = ("http", "https")


def is_address(source: str) -> bool:
    """Whether ``source`` starts with ``http://`` or ``https://``."""
    return source.partition("://")[0].lower() in SCHEMES and "://" in source


def fetch(
    address: str,
    folder: Path,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """The content of ``address`` as a file in ``folder``, named after the address.

    Raises:
        ValueError: it cannot be fetched, is a page instead of a picture, is too large or too slow.
    """
    try:
        require(bool(urlsplit(address).hostname), "it names no server")
    except ValueError as error:
        raise ValueError(f"{address}: no address that leads anywhere ({error})") from None
    content = folder / "content"
    try:
        with content.open("wb") as file:
            name = _within(
                total_seconds, lambda: _download(address, file, timeout_seconds, most_bytes)
            )
    except TimeoutError:
        raise ValueError(
            f"{address}: not whole after {total_seconds:g} s; download it yourself and name the"
            " file"
        ) from None
    return content.rename(folder / name)


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns; ``TimeoutError`` if that takes longer, then it is left to itself.

    A time limit of a socket is for one piece of an answer. Only from outside can one limit them
    all: name, connection, encryption, headers, other addresses that it leads to, and body.
    """
    result: Future[T] = Future()

    def run(result: Future[T]) -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)
        finally:
            del result  # which has the error, which has this frame

    Thread(target=run, args=[result], name="fetch", daemon=True).start()
    return result.result(seconds)


def _download(address: str, file: BinaryIO, timeout_seconds: float, most_bytes: int) -> str:
    """Write what is at ``address`` to ``file``; the name that it has there.

    It ends soon when the file is closed.
    """
    # what is not ASCII in an address (a space, an umlaut) is sent in its escaped form
    request = Request(quote(address, safe=punctuation), headers={"User-Agent": "yolov2"})
    try:
        with urlopen(request, timeout=timeout_seconds) as answer:
            require(is_address(answer.url), f"{address}: leads to {answer.url}, which is not http")
            name = _file_name(answer.url, answer.headers)
            size = 0
            while chunk := answer.read1(CHUNK_BYTES):  # what is there, even if it is one byte
                size += len(chunk)
                require(
                    size <= most_bytes,
                    f"{address}: larger than {most_bytes / 2**20:.0f} MiB; download it yourself"
                    " and name the file",
                )
                file.write(chunk)
    except TimeoutError:
        raise ValueError(f"{address}: no answer within {timeout_seconds:g} s") from None
    except HTTPError as error:
        error.close()  # it is an answer as well
        raise ValueError(f"{address}: cannot be fetched ({error.reason})") from None
    except URLError as error:
        raise ValueError(f"{address}: cannot be fetched ({error.reason})") from None
    except (HTTPException, OSError) as error:
        raise ValueError(f"{address}: cannot be fetched ({error!r})") from None
    return name


def _file_name(address: str, headers: Message) -> str:
    """The last part of the path, with an ending after the content type if it has none."""
    kind = headers.get_content_type()
    require(
        kind not in ("text/html", "application/xhtml+xml"),
        f"{address}: is a web page; name the address of the image or video itself",
    )
    name = PurePosixPath(unquote(urlsplit(address).path)).name.replace("\0", "")
    name = "download" if name in ("", "..") else name
    path = PurePosixPath(name)
    return fitting(path.stem, path.suffix or guess_extension(kind) or "")


def read_standard_input(most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of standard input.

    Raises:
        ValueError: nobody feeds it, it is empty or too large.
    """
    require(
        not sys.stdin.isatty(),
        "--source - reads one image from standard input: pipe it in, as in"
        " `yolov2 detect --source - < street.jpg`",
    )
    content = sys.stdin.buffer.read(most_bytes + 1)
    require(bool(content), "--source -: standard input is empty")
    require(
        len(content) <= most_bytes,
        f"--source -: standard input is larger than {most_bytes / 2**20:.0f} MiB",
    )
    return content
