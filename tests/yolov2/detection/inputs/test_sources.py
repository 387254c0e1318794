"""What the sources of a command line name."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from tests.yolov2.detection.stand_in import broken_folder, encoded, grey
from yolov2.data.images.reading import NO_FORMAT
from yolov2.detection.inputs.frames import Frame, read_frames
from yolov2.detection.inputs.gather import gather
from yolov2.detection.inputs.kinds import ImageInput, Unreadable, VideoInput
from yolov2.detection.inputs.sources import find_images, find_inputs
from yolov2.detection.inputs.web import fetch


def names(sources, **options) -> list[str]:
    return [one.name for one in find_inputs(list(map(str, sources)), **options)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images at several depths, two of them of the same name."""
    root = tmp_path / "photos"
    for name in ("b.jpg", "a.png", "in/a.png", "in/deep/c.webp", ".hidden/x.jpg", ".h.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "in/clip.MP4").touch()
    (root / "read.me").touch()
    return root


def test_a_folder_is_taken_without_or_with_what_is_below_it(photos):
    assert names([photos]) == ["a.png", "b.jpg"]
    below = ["a.png", "b.jpg", "in/a.png", "in/clip.MP4", "in/deep/c.webp"]
    assert names([photos], recursive=True) == below
    assert names([photos], recursive=True, apart=photos / "in") == ["a.png", "b.jpg"]


def test_a_name_starts_at_the_folder_that_all_sources_share(photos):
    assert names([photos / "in/a.png"]) == ["a.png"]
    assert names([photos / "in", photos / "b.jpg"]) == ["in/a.png", "in/clip.MP4", "b.jpg"]
    assert names([photos / "in/deep", photos / "in"]) == ["deep/c.webp", "a.png", "clip.MP4"]


def test_a_pattern_is_taken_by_name(photos):
    assert names([photos / "*"]) == ["a.png", "b.jpg"]
    assert names([photos / "**/*.png"]) == ["a.png", "in/a.png"]
    (photos / "x[1].jpg").touch()
    assert names([photos / "x[1].jpg"]) == ["x[1].jpg"], "a file of that name comes first"


def test_a_list_names_paths_from_here_or_from_its_folder(photos, monkeypatch):
    monkeypatch.chdir(photos / "in")
    listed = photos / "some.txt"
    listed.write_text(f"\ufeffb.jpg\n\ndeep/c.webp\r\n{photos}/a.png\ngone.jpg\n", "utf-8")
    found = find_inputs([str(listed)])
    assert [one.name for one in found] == ["b.jpg", "in/deep/c.webp", "a.png", "in/gone.jpg"]
    assert found[1].content == Path("deep/c.webp")


def test_kinds_of_inputs(photos):
    image, video = find_inputs([str(photos / "read.me"), str(photos / "in/clip.MP4")])
    assert isinstance(image, ImageInput), "a file is taken whatever its name"
    assert isinstance(video, VideoInput)
    assert find_inputs(["07"]) == [VideoInput(name="camera7", content=7)]


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        (["{}/nowhere"], "no such image, video, folder or list: .*/nowhere"),
        (["{}/*.bmp"], r"no image or video matches the pattern .*/\*.bmp"),
        (["{}/empty"], r"no images \(.*.jpg .*\) directly in .*/empty$"),
        (["{}/.hidden/.."], None),
        (["{}/b.jpg", "{}"], "b.jpg is named twice among the sources"),
        (["{}/none.txt"], "none.txt: the list is empty"),
        (["{}/latin.txt"], "latin.txt: a list of images must be UTF-8 text"),
        (["0", "{}"], "a camera is looked at alone"),
        (["0", "1"], "a camera is looked at alone"),
    ],
)
def test_sources_that_name_nothing(photos, sources, text):
    (photos / "empty").mkdir()
    (photos / "none.txt").write_text(" \n")
    (photos / "latin.txt").write_bytes("größe.jpg".encode("latin-1"))
    given = [source.format(photos) for source in sources]
    if text is None:
        assert names(given) == ["a.png", "b.jpg"]
        return
    with pytest.raises(ValueError, match=text):
        find_inputs(given)


def test_a_folder_without_images_says_where_some_are(tmp_path):
    (tmp_path / "in" / "train").mkdir(parents=True)
    grey(1).save(tmp_path / "in" / "train" / "x.jpg")
    with pytest.raises(ValueError, match=r"directly in .*in; .*in/train has some$"):
        find_inputs([str(tmp_path / "in")])
    with pytest.raises(ValueError, match=r"directly in .*in; .*in/train has some$"):
        find_images(tmp_path / "in")
    with pytest.raises(ValueError, match=r"no such image or folder: .*nowhere$"):
        find_images(tmp_path / "nowhere")


def test_images_of_a_folder_for_the_proof_of_an_export(tmp_path):
    folder = broken_folder(tmp_path / "in")
    assert [path.name[0] for path in find_images(folder)] == list("abcdefgi")
    assert find_images(folder / "notes.txt") == [folder / "notes.txt"]


class Answers(BaseHTTPRequestHandler):
    """A web server with an image, a page, text called an image, and files that drip.

    ``asked`` are the paths that it was asked for, ``given_up`` the dripping ones nobody waits for.
    """

    asked: ClassVar[list[str]] = []
    given_up: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(self.path)
        if path.startswith("/drip"):
            self.drip(path)
        elif path == "/gone.jpg":
            self.send_error(404)
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/photo")
            self.end_headers()
        else:
            kind = {"/page": "text/html", "/photo": "image/png"}.get(path, "image/jpeg")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            text = {"/page": b"<p>", "/text.jpg": b"no image", "/clip.mp4": b"no video"}
            content = text.get(path)
            self.wfile.write(content or encoded(grey(200)))

    def drip(self, path: str) -> None:
        """A byte every twentieth of a second, of the headers or of the body, for two minutes."""
        body = path == "/drip/body.jpg"
        start = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n" + (b"\r\n" if body else b"X: ")
        try:
            self.wfile.write(start)
            for _ in range(2400):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            self.given_up.append(path)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """One whose end does not wait for what drips."""

    daemon_threads = True


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_what_is_behind_an_address_is_fetched(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    addresses = [f"{server}/a%20b.jpg?size=3", f"{server}/moved"]
    first, second = gather(addresses, tmp_path)
    assert (first.name, second.name) == ("a b.jpg", "photo.png")
    assert isinstance(first.content, Path)
    assert first.content.read_bytes() == encoded(grey(200))


def test_an_address_that_fails_does_not_stop_the_others(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    grey(7).save(tmp_path / "here.png")
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{server}/gone.jpg\n{server}/ü.jpg\nhere.png\nHTTP://127.0.0.1:1/x.jpg\n")
    (tmp_path / "downloads").mkdir()
    gone, fetched, refused, here = gather([str(listed)], tmp_path / "downloads")
    problem = f"{server}/gone.jpg: cannot be fetched (Not Found)"
    assert gone == Unreadable(name=f"{server}/gone.jpg", problem=problem)
    assert isinstance(fetched, ImageInput)
    assert fetched.name == "ü.jpg"
    assert isinstance(refused, Unreadable)
    assert refused.problem.startswith("HTTP://127.0.0.1:1/x.jpg: cannot be fetched (")
    assert here == ImageInput(name="here.png", content=tmp_path / "here.png")


def test_only_addresses_that_fail_are_one_error(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "one").mkdir()
    with pytest.raises(ValueError, match=rf"^{server}/gone.jpg: cannot be fetched \(Not Found\)$"):
        gather([f"{server}/gone.jpg"], tmp_path / "one")
    (tmp_path / "two").mkdir()
    both = [f"{server}/gone.jpg", f"{server}/page"]
    with pytest.raises(
        ValueError, match=r"^none of the 2 sources can be read, the first: http:.*gone"
    ):
        gather(both, tmp_path / "two")


def test_addresses_whose_last_parts_are_equal_get_numbers(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    grey(7).save(tmp_path / "a.jpg")
    addresses = [f"{server}{path}" for path in ("/1/a.jpg", "/2/a.jpg", "/a.jpg?no=3", "/b.jpg")]
    folders = [tmp_path / "alone", tmp_path / "beside"]
    for folder in folders:
        folder.mkdir()
    alone = gather(addresses, folders[0])
    assert [one.name for one in alone] == ["a.jpg", "a-2.jpg", "a-3.jpg", "b.jpg"]
    beside = gather([*addresses, str(tmp_path / "a.jpg")], folders[1])
    assert [one.name for one in beside] == ["a-2.jpg", "a-3.jpg", "a-4.jpg", "b.jpg", "a.jpg"]
    notes = [one.note for one in read_frames(beside, 64, ahead=3) if isinstance(one, Frame)]
    assert notes == [
        f"{server}/1/a.jpg: is called a-2.jpg, as there is another a.jpg",
        f"{server}/2/a.jpg: is called a-3.jpg, as there is another a.jpg",
        f"{server}/a.jpg?no=3: is called a-4.jpg, as there is another a.jpg",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        (
            ["{0}/x.jpg", "{0}/y.jpg", "{0}/x.jpg"],
            "^http.*/x.jpg is named twice among the sources$",
        ),
        (["{0}/x.jpg", "{1}/gone.jpg"], "^no such image, video, folder or list: .*gone.jpg$"),
        (["{0}/x.jpg", "{1}/a.jpg", "{1}/a.jpg"], "a.jpg is named twice among the sources$"),
        (["{0}/x.jpg", "ftp://a/b"], "^ftp://a/b: of addresses only http:// and https:// can be"),
    ],
)
def test_a_mistake_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch, sources, text):
    monkeypatch.setenv("no_proxy", "*")
    grey(7).save(tmp_path / "a.jpg")
    (tmp_path / "downloads").mkdir()
    asked = len(Answers.asked)
    with pytest.raises(ValueError, match=text):
        gather([source.format(server, tmp_path) for source in sources], tmp_path / "downloads")
    assert len(Answers.asked) == asked


def test_what_was_fetched_and_cannot_be_read_is_called_by_its_address(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("no_proxy", "*")
    pytest.importorskip("cv2")
    addresses = [f"{server}/text.jpg", f"{server}/text.jpg?as=clip.mp4", f"{server}/clip.mp4"]
    frames = list(read_frames(gather(addresses, tmp_path), 64, ahead=3))
    assert [one.problem for one in frames if isinstance(one, Unreadable)] == [
        f"{server}/text.jpg: {NO_FORMAT}",
        f"{server}/text.jpg?as=clip.mp4: {NO_FORMAT}",
        f"{server}/clip.mp4: not a video that OpenCV can read",
    ]


@pytest.mark.parametrize("part", ["body.jpg", "headers.jpg"])
def test_a_server_that_drips_is_not_waited_for(server, tmp_path, monkeypatch, part):
    """Every byte comes in time, and the whole never."""
    monkeypatch.setenv("no_proxy", "*")
    started = time.monotonic()
    with pytest.raises(ValueError, match=rf"^{server}/drip/{part}: not whole after 0.5 s; downloa"):
        fetch(f"{server}/drip/{part}", tmp_path, timeout_seconds=5, total_seconds=0.5)
    assert time.monotonic() - started < 5
    if part == "body.jpg":  # the connection is let go, too
        while f"/drip/{part}" not in Answers.given_up:
            assert time.monotonic() - started < 30
            time.sleep(0.05)


def test_the_name_of_a_fetched_file_fits(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    long = fetch(f"{server}/{'x' * 300}.jpg", tmp_path)
    assert len(long.name) == 255
    assert long.suffix == ".jpg"
    assert fetch(f"{server}/a/..", tmp_path).name == "download.jpg"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/gone.jpg", r"/gone.jpg: cannot be fetched \(Not Found\)"),
        ("/page", "/page: is a web page; name the address of the image or video itself"),
        ("/photo", "/photo: larger than 0 MiB; download it yourself"),
    ],
)
def test_what_cannot_be_fetched_is_said(server, tmp_path, monkeypatch, path, text):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ValueError, match=text):
        fetch(server + path, tmp_path, most_bytes=99)


def test_a_server_that_is_silent_is_not_waited_for(tmp_path, monkeypatch):
    import socket

    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        with pytest.raises(
            ValueError, match=r"no answer within 0.2 s|cannot be fetched.*timed out"
        ):
            fetch(address, tmp_path, timeout_seconds=0.2)


class Piped(BytesIO):
    """Standard input that is no terminal."""


def test_an_image_comes_from_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", TextIOWrapper(Piped(b"abc")))
    assert gather(["-"], tmp_path) == [ImageInput(name="stdin", content=b"abc")]
    monkeypatch.setattr("sys.stdin", TextIOWrapper(Piped(b"")))
    with pytest.raises(ValueError, match="--source -: standard input is empty"):
        gather(["-"], tmp_path)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("rtsp://host/x", "of addresses only http:// and https:// can be looked at"),
        ("http:///x.jpg", r"http:///x.jpg: no address that leads anywhere \(it names no server\)"),
        ("http://[x/x.jpg", r"http://\[x/x.jpg: no address that leads anywhere \(Invalid IPv6 URL"),
        ("HTTP://127.0.0.1:1/x.jpg", "cannot be fetched"),
    ],
)
def test_addresses_that_lead_nowhere(tmp_path, monkeypatch, source, text):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ValueError, match=text):
        gather([source], tmp_path)


@pytest.mark.parametrize("form", ["tiff", "webp", "png", "gif", "avif", "mpo"])
def test_that_only_the_first_picture_is_looked_at_is_said(tmp_path: Path, form: str) -> None:
    first, second = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    file = tmp_path / f"a.{form}"
    first.save(file, save_all=True, append_images=[second])
    inputs = [
        ImageInput(name="a file", content=file),
        ImageInput(name="bytes", content=file.read_bytes()),
    ]
    notes = []
    for frame in read_frames(inputs, 32, ahead=1):
        assert isinstance(frame, Frame)
        notes.append(frame.note)
    holds = ": holds 2 pictures, only the first is looked at"
    # what a camera keeps beside its picture is none that one would look for objects in
    assert notes == (["", ""] if form == "mpo" else ["a file" + holds, "bytes" + holds])
