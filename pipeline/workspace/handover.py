"""What a stage hands over to the recorder: its settings first, its result last."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.running import recorder
from pipeline.running.recorder import Recorder


@dataclass(kw_only=True)
class Handover:
    """The recording of one execution of a stage."""

    recorder: Recorder

    @classmethod
    @contextmanager
    def of(cls, stage: str, sections: Mapping[str, Any]) -> Iterator["Handover"]:
        """Begin the recording; without ``done`` inside it comes to nothing.

        ``sections`` are the settings that the stage has read, by name.
        """
        handover = cls(recorder=Recorder(folder=recorder.new_folder(stage), program="record"))
        recorder.begin(handover.recorder.folder, stage, {"parameters": dict(sections)})
        try:
            yield handover
        except BaseException:
            recorder.drop(handover.recorder.folder)
            raise

    def done(
        self,
        *,
        training: Mapping[str, Any],
        metrics: Mapping[str, float | None],
        digest: str,
        files: Iterable[Path],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Hand over the result, and wait until MLflow has it, as long as that goes; never fails.

        ``training`` is the content of ``training.json``, ``digest`` the sha256 of the output by
        which the result is known again, ``tags`` what its run is to be found by besides.
        """
        placed = {path.relative_to(paths.REPORTS).as_posix(): path for path in files}
        if paths.HISTORY.exists():
            placed[f"../{paths.HISTORY.name}"] = paths.HISTORY
        result = {
            "training": dict(training),
            "metrics": dict(metrics),
            "tags": dict(tags or {}),
            "digest": digest,
            "history": paths.HISTORY.name if paths.HISTORY.exists() else None,
        }
        if recorder.hand_over(self.recorder.folder, result, placed):
            self.recorder.start()
            self.recorder.finish("FINISHED")
