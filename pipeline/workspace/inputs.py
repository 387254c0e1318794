"""What a stage has read: it must be the same at the stage's end, because DVC looks only then.

DVC hashes a stage's dependencies when its command has ended. What was edited meanwhile it would
record as what was computed with, and the stage would be up to date for ever.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import PARAMS
from pipeline.workspace.dvc_files import UNKNOWN, dependencies, file_md5, folder_state, parameters

SHOWN = 3


class InputsChangedError(ValueError):
    """A dependency of a stage is not what it was when the stage began."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a stage in ``dvc.yaml`` reads, as it was when the stage began."""

    stage: str
    state: Mapping[str, str]

    @classmethod
    def of(cls, stage: str) -> "Inputs":
        """As they are now: to be asked for before anything of them is read."""
        return cls(stage=stage, state=read_inputs(stage))

    def require_unchanged(self) -> None:
        """Refuse what was computed if an input is not what it was: the last that a stage does.

        Raises:
            InputsChangedError: one is not; names what, and says what to do.
        """
        changed = differences(self.state, read_inputs(self.stage))
        if changed:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            raise InputsChangedError(
                f"changed while the stage {self.stage} ran: {'; '.join(changed[:SHOWN])}{more}."
                " What it computed belongs to the old state, so the stage stays stale: run `dvc"
                " repro` again, or take the change back first (a training that is complete is then"
                " not repeated)"
            )


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Run the block, and refuse its result if an input of ``stage`` changed meanwhile.

    Raises:
        InputsChangedError: see ``Inputs``.
    """
    inputs = Inputs.of(stage)
    yield
    inputs.require_unchanged()


def read_inputs(stage: str) -> dict[str, str]:
    """A digest of each dependency, and the value of each parameter, of a stage in ``dvc.yaml``.

    Of a file it is the md5, of a folder the sizes and times of all files below it, links
    followed.
    """
    found = {name: _digest(Path(name)) for name in dependencies(stage)}
    values = parameters(stage)
    return found | {f"{PARAMS}: {name}": json.dumps(v, default=str) for name, v in values.items()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs, a phrase each; of parameters the old and the new value of what moved."""
    told = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, UNKNOWN), after.get(name, UNKNOWN)
        if old == new:
            continue
        if name.startswith(f"{PARAMS}: "):
            told += _moved(name.removeprefix(f"{PARAMS}: "), json.loads(old), json.loads(new))
        else:
            told.append(f"{name}{' is gone' if new == UNKNOWN else ''}")
    return told


def _moved(name: str, old: object, new: object) -> list[str]:
    """The values below ``name`` that differ: ``params.yaml: train.lr 0.003, now 0.01``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            phrase
            for key in keys
            if old.get(key) != new.get(key)
            for phrase in _moved(f"{name}.{key}", old.get(key), new.get(key))
        ]
    return [f"{PARAMS}: {name} {json.dumps(old)}, now {json.dumps(new)}"]


def _digest(path: Path) -> str:
    if path.is_file():
        return file_md5(path)
    if not path.is_dir():
        return UNKNOWN
    return folder_state(path)
