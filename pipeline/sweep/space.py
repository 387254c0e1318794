"""What a sweep may try, as people write it: ``train.lr=loguniform(0.0003, 0.01)``."""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml.error import YAMLError

from pipeline.params.schema import load
from pipeline.paths import PARAMS
from pipeline.workspace.copies import override
from pipeline.workspace.dvc_files import parse_yaml, read_yaml

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

KINDS = "choice(A, B, ...), uniform(LOW, HIGH), loguniform(LOW, HIGH), integer(LOW, HIGH)"
_CALL = re.compile(r"\s*([a-z]+)\s*\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Space:
    """``drawn`` from Optuna's distributions, and ``fixed`` to one value, by ``section.key``.

    Values are texts as ``params.yaml`` would have them, so that a list is a choice as well.
    """

    drawn: Mapping[str, "BaseDistribution"] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)

    def draw(self, trial: "Trial") -> dict[str, str]:
        """The settings of a trial, the fixed ones among them."""
        return dict(self.fixed) | {key: _drawn(trial, key, d) for key, d in self.drawn.items()}

    @property
    def combinations(self) -> float:
        """How many different trials there are; infinity where a value is drawn from a range."""
        return math.prod(_number_of(distribution) for distribution in self.drawn.values())

    def ends(self, key: str) -> list[str]:
        """Every choice of ``key``, or its lowest and highest value."""
        from optuna.distributions import CategoricalDistribution

        distribution = self.drawn[key]
        if isinstance(distribution, CategoricalDistribution):
            return [str(choice) for choice in distribution.choices]
        return [json.dumps(distribution.low), json.dumps(distribution.high)]  # type: ignore[attr-defined]


def parse(given: Mapping[str, str]) -> Space:
    """Read ``{"train.lr": "loguniform(0.0003, 0.01)", "train.epochs": "5"}``.

    Raises:
        ValueError: naming what cannot be read, and how it is to be written; or nothing is drawn.
    """
    drawn, fixed = {}, {}
    for key, text in given.items():
        call = _CALL.fullmatch(text)
        if call is None:
            fixed[key] = text
        else:
            drawn[key] = _distribution(key, text, call[1], call[2])
    if not drawn:
        raise ValueError(f"nothing to choose from: give a key one of {KINDS}")
    return Space(drawn=drawn, fixed=fixed)


def check(space: Space, params: Path = PARAMS) -> None:
    """Try the fixed values, and each choice or end of a range with them, on ``params.yaml``.

    Raises:
        ValueError: a key is not there, or would refuse a value.
    """
    fixed = [f"{key}={value}" for key, value in space.fixed.items()]
    cases = [[f"{key}={value}"] for key in space.drawn for value in space.ends(key)]
    with tempfile.TemporaryDirectory() as folder:
        for case in ([], *cases):
            trial = Path(shutil.copy(params, Path(folder) / params.name))
            override(trial, [*fixed, *case])
            try:
                load(trial)
            except ValueError as error:
                said = str(error).replace(f"{folder}/", "")
                raise ValueError(f"-S {' '.join(case or fixed)}: {said}") from None


def at_present(space: Space, params: Path = PARAMS) -> dict[str, object] | None:
    """The drawn keys' values in ``params.yaml`` as a trial would have them; None if one has not.

    So the first trial can be what is in use, and the others are seen against it.
    """
    from optuna.distributions import CategoricalDistribution

    document: Any = read_yaml(params)
    found: dict[str, object] = {}
    for key, distribution in space.drawn.items():
        value, ends = document, space.ends(key)
        for part in key.split("."):
            value = value[part]
        if isinstance(distribution, CategoricalDistribution):
            same = [c for c in distribution.choices if parse_yaml(str(c)) == value]
            if not same:
                return None
            value = same[0]
        elif not (_is_number(value) and float(ends[0]) <= value <= float(ends[-1])):
            return None
        found[key] = value
    return found


def _distribution(key: str, text: str, kind: str, inside: str) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    try:
        values = parse_yaml(f"[{inside}]")
        if kind == "choice" and values:
            return CategoricalDistribution(
                [v if isinstance(v, str) else json.dumps(v) for v in values]
            )
        if len(values) == 2 and all(map(_is_number, values)) and values[0] < values[1]:
            low, high = values
            if kind in ("uniform", "loguniform"):
                return FloatDistribution(float(low), float(high), log=kind == "loguniform")
            if kind == "integer" and low == int(low) and high == int(high):
                return IntDistribution(int(low), int(high))
    except (YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"-S {key}={text}: {said}") from None
    raise ValueError(f"-S {key}={text}: write one of {KINDS}, LOW below HIGH")


def _drawn(trial: "Trial", key: str, distribution: "BaseDistribution") -> str:
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution):
        low, high, log = distribution.low, distribution.high, distribution.log
        # as many digits as people would write, so that the value can be copied
        return f"{trial.suggest_float(key, low, high, log=log):.4g}"
    if isinstance(distribution, IntDistribution):
        return str(trial.suggest_int(key, distribution.low, distribution.high))
    return str(trial.suggest_categorical(key, distribution.choices))  # type: ignore[attr-defined]


def _number_of(distribution: "BaseDistribution") -> float:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return distribution.high - distribution.low + 1
    return math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
