import time
from io import BytesIO

import numpy as np
import pytest

from yolov2.data.labels.files import parse_labels


def rows(data: bytes) -> list[list[float]]:
    parsed, bad = parse_labels(data)
    assert parsed.dtype == np.float64
    assert parsed.shape == (len(parsed), 6)
    assert not bad
    return parsed.tolist()


def test_numbers_are_taken_as_written() -> None:
    data = b"0 0.857031 0.518750 0.201563 0.225000\n12 5e-1 .25 1. +1E-2\n2 -0.5 1.5 0 -0.0"
    assert rows(data) == [
        [1, 0, 0.857031, 0.51875, 0.201563, 0.225],
        [2, 12, 0.5, 0.25, 1.0, 0.01],
        [3, 2, -0.5, 1.5, 0.0, 0.0],
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"1 .1 .2 .3 .4\n\n2 .5 .6 .7 .8\n",
        b"\xef\xbb\xbf1 .1 .2 .3 .4\r\n\r\n2 .5 .6 .7 .8\r\n",  # Windows
        b"1 .1 .2 .3 .4\r\r2 .5 .6 .7 .8",  # old Mac
        b"\t1\t.1  .2 \t.3 .4  \n   \n 2 .5 .6 .7 .8\n\n\n",
    ],
)
def test_line_endings_byte_order_mark_and_blanks(data: bytes) -> None:
    assert rows(data) == [[1, 1, 0.1, 0.2, 0.3, 0.4], [3, 2, 0.5, 0.6, 0.7, 0.8]]


@pytest.mark.parametrize("data", [b"", b"\n", b"  \r\n\t\n", b"\xef\xbb\xbf"])
def test_file_without_objects(data: bytes) -> None:
    assert rows(data) == []


def test_huge_class_numbers_do_not_overflow() -> None:
    data = f"4294967297 .5 .5 .1 .1\n-{'9' * 6000} .5 .5 .1 .1\n000000000000002 .5 .5 .1 .1"
    assert [row[1] for row in rows(data.encode())] == [2**31 - 1, -(2**31 - 1), 2]


@pytest.mark.parametrize(
    ("line", "value", "message", "advice"),
    [
        ("0 0.5 0.5 0.1", "0 0.5 0.5 0.1", "4 columns instead of 5", "write: class cx cy w h"),
        ("cat", "cat", "1 column instead of 5", "write: class cx cy w h"),
        ("0,.5,.5,.1,.1", "0,.5,.5,.1,.1", "1 column instead of 5", "separate the columns by"),
        ("0;.5;.5;.1;.1", "0;.5;.5;.1;.1", "1 column instead of 5", "separate the columns by"),
        ("0 .5 .5 .1 .1 .9", "0 .5 .5 .1 .1 .9", "6 columns instead of 5", "delete the sixth"),
        ("0 .1 .1 .9 .1 .9 .9", "0 .1 .1 .9 .1 .9 .9", "7 columns instead of 5", "a polygon?"),
        ("0 " + ".1 " * 7, "0" + " .1" * 7, "8 columns instead of 5", "write: class cx"),
        ("cat .5 .5 .1 .1", "cat", "class is not a whole number", "write the number of the class"),
        ("1.0 .5 .5 .1 .1", "1.0", "class is not a whole number", "write 1"),
        ("1.5 .5 .5 .1 .1", "1.5", "class is not a whole number", "write the number of the class"),
        ("1e0 .5 .5 .1 .1", "1e0", "class is not a whole number", "write the number of the class"),
        ("1_0 .5 .5 .1 .1", "1_0", "class is not a whole number", "write the number of the class"),
        ("٣ .5 .5 .1 .1", "٣", "class is not a whole number", "write the number of the class"),
        ("0 0,5 .5 .1 .1", "0,5", "cx is not a number", "write a decimal point"),
        ("0 .5 nan .1 .1", "nan", "cy is not finite", "write a share of the image, 0 to 1"),
        ("0 .5 .5 -Infinity .1", "-Infinity", "w is not finite", "write a share of the image"),
        ("0 .5 .5 .1 1e400", "1e400", "h is not finite", "write a share of the image"),
        ("0 .5 .5 .1 0x1p-3", "0x1p-3", "h is not a number", "write a share of the image"),
        ("0 .5 .5 .1 1_0", "1_0", "h is not a number", "write a share of the image"),
        ("0 .5 .5 .1 --1", "--1", "h is not a number", "write a share of the image"),
        ("0 .5 .5 .1 .", ".", "h is not a number", "write a share of the image"),
        ("0 .5\N{NO-BREAK SPACE}.5 .1 .1", "0 .5\N{NO-BREAK SPACE}.5 .1 .1", "4 columns", "write"),
        ("0 .5 .5 .1 .1\x0c", ".1\x0c", "h is not a number", "write a share of the image"),
    ],
)
def test_bad_line(line: str, value: str, message: str, advice: str) -> None:
    parsed, bad = parse_labels(f"1 .1 .2 .3 .4\n{line}\n2 .5 .6 .7 .8\n".encode())
    assert parsed[:, :2].tolist() == [[1, 1], [3, 2]]
    assert [(one.line, one.value) for one in bad] == [(2, value)]
    assert message in bad[0].message
    assert bad[0].advice.startswith(advice)


def test_bytes_that_are_not_utf8_spoil_their_line_only() -> None:
    parsed, bad = parse_labels(b"0 .5 .5 .1 .1\n\xff\xfe 0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")
    assert parsed[:, 0].tolist() == [1, 3]
    assert [(one.line, one.message) for one in bad] == [(2, "6 columns instead of 5")]


@pytest.mark.parametrize("data", ["0 .5 .5 .1 .1\n".encode("utf-16"), b"\x89PNG\r\n\0\0", b"\0"])
def test_binary_file_is_one_problem(data: bytes) -> None:
    parsed, (bad,) = parse_labels(data)
    assert parsed.shape == (0, 6)
    assert bad.line is None
    assert bad.message == "binary data or UTF-16, not UTF-8 text"


def test_every_way_to_write_a_number_reads_as_numpy_reads_it() -> None:
    random = np.random.default_rng(1)
    numbers = random.uniform(-2, 2, (200, 4)) * 10.0 ** random.integers(-12, 12, (200, 4))
    forms = ("{:.6f}", "{!r}", "{:g}", "{:E}", "{:.0f}", "{:+.3f}")
    lines = [
        " ".join([str(i), *(forms[(i + j) % 6].format(x) for j, x in enumerate(row))])
        for i, row in enumerate(numbers.tolist())
    ]
    data = "\n".join(lines).encode()
    assert np.array_equal(np.array(rows(data))[:, 1:], np.loadtxt(BytesIO(data)))


def test_hostile_lines_take_no_time() -> None:
    start = time.process_time()
    digits = "1" * 200_000
    _, bad = parse_labels(f"0 {digits}x .5 .5\n0 .5 {digits}.{digits} .5 z\n{digits}".encode())
    assert [one.line for one in bad] == [1, 2, 3]
    assert time.process_time() - start < 2
