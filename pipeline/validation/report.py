"""What validation found, for programs (JSON) and for people (the front page of the Data Docs)."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.pages import html_page, html_table
from pipeline.validation.expectations import Results, RuleOutcome
from yolov2.config.data import DataConfig, ValidateConfig
from yolov2.data.labels.problems import Problem, count_kinds, errors, format_notes
from yolov2.data.labels.raw_tables import RawTables
from yolov2.data.labels.rules import policies
from yolov2.data.table import LabelTables, describe

SHOWN_PROBLEMS = 500
"""Problems that the front page lists; the JSON file has all."""

NO_TEST = (
    "no test split: val then chooses the checkpoint, is reported and promotes, so that every figure"
    " is optimistic; give test: images that nothing else uses"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that validation found in one data set."""

    data: DataConfig
    config: ValidateConfig
    raw: RawTables
    tables: LabelTables
    problems: Sequence[Problem]
    results: Results

    @property
    def passed(self) -> bool:
        """Whether the pipeline may go on: no problem, and no broken rule, of the policy error."""
        broken = any(one.policy == "error" and not one.passed for one in self.results.verdicts)
        return not errors(self.problems) and not broken


def report(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain values: equal data and settings give equal values."""
    summary = describe(outcome.tables)
    return {
        "passed": outcome.passed,
        "data": asdict(outcome.data),
        "policies": dict(policies(outcome.config)),
        "edge_tolerance": outcome.config.edge_tolerance,
        "class_names": summary["class_names"],
        "splits": _splits(outcome.raw, summary["splits"]),
        "digest": summary["digest"],
        "notes": list(outcome.raw.notes),
        "problem_counts": count_kinds(outcome.problems),
        "expectations": [asdict(verdict) for verdict in outcome.results.verdicts],
        "problems": [asdict(problem) for problem in outcome.problems],
    }


def _splits(raw: RawTables, kept: dict[str, Any]) -> dict[str, Any]:
    """Of each split what is in the label table, and how much the policies kept out of it."""
    of_image = raw.images["split"]
    of_line = [*of_image.iloc[raw.boxes["row"]], *(of_image.iloc[row] for row, _ in raw.bad_lines)]
    nothing = {"images": 0, "images_without_objects": 0, "boxes": 0, "boxes_by_class": {}}
    splits = {}
    for split in of_image.unique():
        counts = kept.get(split, nothing)
        images, lines = int((of_image == split).sum()), of_line.count(split)
        left_out = {"images": images - counts["images"], "lines": lines - counts["boxes"]}
        splits[str(split)] = counts | {"left_out": left_out}
    return splits


def front_page(outcome: Outcome, found: Mapping[str, Any]) -> str:
    """``index.html``: whether the data passed, what is in it, each rule, the problems.

    ``found`` is the outcome's ``report``.
    """
    mark, verdict = ("✓", "passed") if outcome.passed else ("✗", "stopped the pipeline")
    style = "good" if outcome.passed else "bad"
    splits = [
        (
            split,
            counts["images"],
            counts["images_without_objects"],
            counts["boxes"],
            counts["left_out"]["images"],
            counts["left_out"]["lines"],
        )
        for split, counts in found["splits"].items()
    ]
    splits_header = ("split", "images", "without objects", "boxes", "images left out")
    links = {
        one.table: f'<a href="{one.table}.html">{one.table}</a>' for one in outcome.results.verdicts
    }
    notes = format_notes(outcome.raw.notes, SHOWN_PROBLEMS)
    body = [
        f'<p>{html.escape(outcome.data.config)}: <b class="{style}">{mark} {verdict}</b></p>',
        *(f"<p>{html.escape(note)}</p>" for note in notes),
        "<h2>Images and boxes</h2>",
        html_table((*splits_header, "lines left out"), splits),
        html_table(("class", *found["splits"]), _class_rows(found)),
        *(f"<p>{html.escape(text)}</p>" for text in advice(found)),
        "<h2>Rules</h2>",
        html_table(
            ("", "rule", "table", "rows", "broken by", "then"),
            map(_rule_row, outcome.results.verdicts),
        ),
        f"<p>Great Expectations' pages: {', '.join(links.values())}</p>",
        f"<h2>Problems: {len(outcome.problems)}</h2>",
        *_problem_list(outcome.problems),
    ]
    return html_page("Validation of the data set", body)


def advice(found: Mapping[str, Any]) -> list[str]:
    """What a person should know of the splits, though nothing is wrong with them."""
    return [NO_TEST] if "val" in found["splits"] and "test" not in found["splits"] else []


def _class_rows(found: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
    counts = [split["boxes_by_class"] for split in found["splits"].values()]
    return [(name, *(count.get(name, 0) for count in counts)) for name in found["class_names"]]


def _rule_row(verdict: RuleOutcome) -> tuple[str | int, ...]:
    mark = "✓" if verdict.passed else "✗" if verdict.policy == "error" else "!"
    rows = (verdict.checked, verdict.unexpected)
    return (mark, verdict.description, verdict.table, *rows, verdict.policy)


def _problem_list(problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return ["<p>None.</p>"]
    header = ("", "where", "value", "what is wrong", "what to do", "policy")
    rows = [
        (
            "✗" if one.policy == "error" else "!",
            one.where,
            one.value,
            one.message,
            one.advice,
            one.policy,
        )
        for one in problems[:SHOWN_PROBLEMS]
    ]
    rest = len(problems) - SHOWN_PROBLEMS
    more = [f"<p>… and {rest} more in validation.json.</p>"] if rest > 0 else []
    return [html_table(header, rows), *more]
