"""Stage ``validate``: read every image and label, judge them, write the label table.

Our own checks say file, line and advice for each mistake; Great Expectations holds the same
rules against the same tables and documents the result. Either stops the pipeline, after
``reports/validation.json`` and ``reports/data_docs/index.html`` are written.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import paths
from pipeline.labels import check_train
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.validation.data_docs import make_self_contained
from pipeline.validation.expectations import render_page, run_expectations
from pipeline.validation.report import Outcome, advice, front_page, report
from pipeline.workspace.inputs import Inputs
from yolov2.config.data import DataConfig, ValidateConfig
from yolov2.data.description import check_watched, read_description
from yolov2.data.labels.checks import judge
from yolov2.data.labels.problems import DataError, Problem, errors, format_notes, format_problems
from yolov2.data.labels.raw_tables import read_raw_tables
from yolov2.files import write_json, write_text

STAGE = "validate"


def main() -> None:
    """Validate the data set of ``params.yaml``; the label table is written if it passes."""
    inputs = Inputs.of(STAGE)
    data, config = read_section("data", DataConfig), read_section("validate", ValidateConfig)
    outcome = examine(data, config)
    inputs.require_unchanged()  # before a mistake is told that nobody has made
    found = report(outcome)
    write_reports(outcome, found)
    if errors(outcome.problems):
        raise DataError(outcome.problems, report=str(paths.VALIDATION))
    assert outcome.passed, "Great Expectations found what our own checks did not"
    outcome.tables.write(paths.ARTIFACTS)
    print(summary(found, outcome.problems))
    inputs.require_unchanged()


def examine(data: DataConfig, config: ValidateConfig) -> Outcome:
    """Read the data set and hold both sets of rules against it.

    Raises:
        ValueError: the description is wrong, or DVC would not see the data change.
    """
    description = read_description(Path(data.config))
    check_train(description)
    check_watched(description, data)
    with tqdm(disable=None, leave=False, unit="image") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        raw = read_raw_tables(description, progress)
    tables, problems = judge(raw, config)
    return Outcome(
        data=data,
        config=config,
        raw=raw,
        tables=tables,
        problems=problems,
        results=run_expectations(raw, config),
    )


def write_reports(outcome: Outcome, found: Mapping[str, Any]) -> None:
    """Write the JSON report ``found`` and the Data Docs."""
    write_json(paths.VALIDATION, found)
    shutil.rmtree(paths.DATA_DOCS, ignore_errors=True)
    paths.DATA_DOCS.mkdir(parents=True)
    pages = {"index": front_page(outcome, found)}
    for table, document in outcome.results.documents.items():
        pages[table] = make_self_contained(render_page(document))
    for name, page in pages.items():
        write_text(paths.DATA_DOCS / f"{name}.html", page)


def summary(found: Mapping[str, Any], problems: Sequence[Problem]) -> str:
    """What was read and what was left out, for the terminal."""
    lines = format_notes(found["notes"])
    for split, counts in found["splits"].items():
        line = f"{split}: {counts['images']} images, {counts['boxes']} boxes"
        if counts["images_without_objects"]:
            line += f", {counts['images_without_objects']} images without objects"
        left_out = [f"{number} {name}" for name, number in counts["left_out"].items() if number]
        lines.append(line + (f"; left out: {', '.join(left_out)}" if left_out else ""))
    lines += advice(found)
    if problems:
        kinds = ", ".join(f"{n} {kind}" for kind, n in found["problem_counts"].items())
        lines += [
            f"warnings: {kinds}",
            format_problems(problems, 20, str(paths.VALIDATION)),
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_stage(main, options=False)
