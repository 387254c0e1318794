"""The rules for labels as Great Expectations, and its Data Docs.

The expectations are held against the raw tables, before policies, so that the documents show
how often a rule is broken. They are the rules of ``yolov2.data.labels.rules``, stated a second
time in another library's terms. A kind of mistake whose policy is ``ignore`` is not looked for.
"""

import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.running.entry import TELEMETRY_OFF
from yolov2.boxes import SLIVER
from yolov2.config.data import EdgePolicy, ValidateConfig
from yolov2.data.labels.problems import Kind
from yolov2.data.labels.raw_tables import RawTables
from yolov2.data.labels.rules import BOX_COLUMNS, EDGES, policies

LABEL_LINE, MALFORMED = "class cx cy w h", "malformed"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An expectation and the table that it is about."""

    table: str
    kind: Kind
    policy: EdgePolicy
    expectation: Any


@dataclass(frozen=True, kw_only=True)
class RuleOutcome:
    """What came of a rule: rows of the table that were checked, and that break it."""

    table: str
    kind: Kind
    policy: EdgePolicy
    description: str
    passed: bool
    checked: int
    unexpected: int


@dataclass(frozen=True, kw_only=True)
class Results:
    """A verdict for each rule; Great Expectations' result for each table that has rules."""

    verdicts: list[RuleOutcome]
    documents: dict[str, Any]


def rules(config: ValidateConfig, classes: int) -> list[Rule]:
    """The rules of every kind that is not ignored, in the order of the report."""
    # first used here: importing Great Expectations takes seconds
    import great_expectations.expectations

    gxe: Any = great_expectations.expectations  # exports them, but not for type checkers
    policy = policies(config)
    found = []

    def rule(table: str, kind: Kind, text: str, expectation: Any, **arguments: Any) -> None:
        severity = "critical" if policy[kind] == "error" else "warning"
        built = expectation(**arguments, description=text, severity=severity, meta={"kind": kind})
        found.append(Rule(table=table, kind=kind, policy=policy[kind], expectation=built))

    not_in, between = gxe.ExpectColumnValuesToNotBeInSet, gxe.ExpectColumnValuesToBeBetween
    text = "Every image that is named exists"
    rule("images", "missing_image", text, not_in, column="status", value_set=["missing"])
    text = "Every image can be decoded to its end"
    rule("images", "unreadable_image", text, not_in, column="status", value_set=["unreadable"])
    text = f"Every line is: {LABEL_LINE}, in finite numbers"
    rule("lines", "malformed_line", text, not_in, column="form", value_set=[MALFORMED])
    text, last = f"The class is one of 0 to {classes - 1}", classes - 1
    kind: Kind = "class_out_of_range"
    rule("boxes", kind, text, between, column="class_id", min_value=0, max_value=last)
    low, high = -config.edge_tolerance, 1 + config.edge_tolerance
    for edge in EDGES:
        text = f"The {edge} edge is inside the image"
        rule("boxes", "outside_image", text, between, column=edge, min_value=low, max_value=high)
    for column, axis in (("cx", "across"), ("cy", "down")):
        text = f"The middle is inside the image ({axis})"
        rule("boxes", "outside_image", text, between, column=column, min_value=0, max_value=1)
    for column, name in (("canvas_w", "width"), ("canvas_h", "height")):
        text = f"The {name} is at least {SLIVER:g} of the image's longer side"
        rule("boxes", "zero_size", text, between, column=column, min_value=SLIVER)
    text = "No box stands twice in a label file"
    rule("boxes", "duplicate", text, gxe.ExpectCompoundColumnsToBeUnique, column_list=BOX_COLUMNS)
    return [rule for rule in found if rule.policy != "ignore"]


def judged_tables(raw: RawTables) -> dict[str, pd.DataFrame]:
    """The tables that the rules speak of, by name: ``images``, ``lines`` and ``boxes``."""
    rows = [row for row, _ in raw.bad_lines]
    lines = pd.DataFrame(
        {
            "row": [*raw.boxes["row"], *rows],
            "form": [LABEL_LINE] * len(raw.boxes) + [MALFORMED] * len(rows),
        }
    )
    return {"images": raw.images, "lines": lines, "boxes": raw.boxes}


def run_expectations(raw: RawTables, config: ValidateConfig) -> Results:
    """Hold the rules against ``raw``."""
    # it reads these when it is imported, and would else report its use
    os.environ.update(TELEMETRY_OFF)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    wanted = rules(config, len(raw.class_names))
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("data set")
    verdicts, documents = [], {}
    for table, frame in judged_tables(raw).items():
        chosen = [rule for rule in wanted if rule.table == table]
        if chosen:
            suite = gx.ExpectationSuite(
                name=table, expectations=[one.expectation for one in chosen]
            )
            definition = gx.ValidationDefinition(
                name=table,
                data=source.add_dataframe_asset(table).add_batch_definition_whole_dataframe(table),
                suite=context.suites.add(suite),
            )
            result = context.validation_definitions.add(definition).run(
                batch_parameters={"dataframe": frame}, result_format="SUMMARY"
            )
            results = {one.expectation_config.description: one for one in result.results}
            verdicts += [_verdict(rule, results[rule.expectation.description]) for rule in chosen]
            documents[table] = result
    return Results(verdicts=verdicts, documents=documents)


def _verdict(rule: Rule, result: Any) -> RuleOutcome:
    if result.exception_info.get("raised_exception"):
        message = result.exception_info["exception_message"]
        raise RuntimeError(f"{rule.expectation.description}: {message}")
    return RuleOutcome(
        table=rule.table,
        kind=rule.kind,
        policy=rule.policy,
        description=rule.expectation.description,
        passed=bool(result.success),
        checked=int(result.result["element_count"]),
        unexpected=int(result.result["unexpected_count"]),
    )


def render_page(document: Any) -> str:
    """The page of Great Expectations' Data Docs for a table's result, of ``Results.documents``."""
    import great_expectations.render.renderer
    import great_expectations.render.view

    render: Any = great_expectations.render  # as above: no names for type checkers
    page = render.renderer.ValidationResultsPageRenderer().render(document)
    return str(render.view.DefaultJinjaPageView().render(page))
