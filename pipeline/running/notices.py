"""What people are told of a training while it runs, kept for the run's description."""

from pathlib import Path

from yolov2.files import write_text

NOTICES = "notices.md"


def read_notices(folder: Path) -> str:
    """All notices of a training, a paragraph each."""
    file = folder / NOTICES
    return file.read_text(encoding="utf-8") if file.exists() else ""


def add_notice(folder: Path, text: str) -> None:
    """Keep ``text``; a step that is repeated may tell it again."""
    told = read_notices(folder)
    if text not in told.split("\n\n"):
        write_text(folder / NOTICES, f"{told}{text}\n\n")
