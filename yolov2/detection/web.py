"""An image or video behind an http address, fetched because somebody named it on a command line.

Nothing else in ``yolov2`` opens a connection.
"""

import sys
from email.message import Message
from http.client import HTTPException
from mimetypes import guess_extension
from pathlib import Path, PurePosixPath
from string import punctuation
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

from yolov2.section import require

TIMEOUT_SECONDS = 20.0
"""How long the server may take to connect, and between two pieces of its answer."""

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
    most_bytes: int = MOST_BYTES,
) -> Path:
    """The content of ``address`` as a file in ``folder``, named after the address.

    Raises:
        ValueError: it cannot be fetched, is a page instead of a picture, or is too large.
    """
    try:
        require(bool(urlsplit(address).hostname), "it names no server")
    except ValueError as error:
        raise ValueError(f"{address}: no address that leads anywhere ({error})") from None
    # what is not ASCII in an address (a space, an umlaut) is sent in its escaped form
    request = Request(quote(address, safe=punctuation), headers={"User-Agent": "yolov2"})
    try:
        with urlopen(request, timeout=timeout_seconds) as answer:
            require(is_address(answer.url), f"{address}: leads to {answer.url}, which is not http")
            target = folder / _file_name(answer.url, answer.headers)
            with target.open("wb") as file:
                size = 0
                while chunk := answer.read(CHUNK_BYTES):
                    size += len(chunk)
                    require(
                        size <= most_bytes,
                        f"{address}: larger than {most_bytes / 2**20:.0f} MiB; download it yourself"
                        " and name the file",
                    )
                    file.write(chunk)
    except TimeoutError:
        raise ValueError(f"{address}: no answer within {timeout_seconds:g} s") from None
    except URLError as error:
        raise ValueError(f"{address}: cannot be fetched ({error.reason})") from None
    except (HTTPException, OSError) as error:
        raise ValueError(f"{address}: cannot be fetched ({error!r})") from None
    return target


def _file_name(address: str, headers: Message) -> str:
    """The last part of the path, with an ending after the content type if it has none."""
    kind = headers.get_content_type()
    require(
        kind not in ("text/html", "application/xhtml+xml"),
        f"{address}: is a web page; name the address of the image or video itself",
    )
    name = PurePosixPath(unquote(urlsplit(address).path)).name.replace("\0", "") or "download"
    if not PurePosixPath(name).suffix:
        name += guess_extension(kind) or ""
    return name


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
