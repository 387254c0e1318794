"""The rules for labels as Great Expectations, and its Data Docs.

The expectations are held against the raw tables, before policies, so that the documents show
how often a rule is broken. They are made from the table of ``yolov2.data.labels.rules``, but hold
its conditions against the data in their own way. A kind whose policy is ``ignore`` is not looked
for.
"""

import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.running.entry import TELEMETRY_OFF
from yolov2.config.data import EdgePolicy, Kind, ValidateConfig
from yolov2.data.labels.conditions import Between, Condition, IsNot
from yolov2.data.labels.raw_tables import RawTables
from yolov2.data.labels.rules import LABEL_LINE, RULES, policies
from yolov2.data.labels.texts import Context


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
    policy, context = policies(config), Context(config=config, classes=classes)
    found = []
    for each in RULES:
        severity = "critical" if policy[each.kind] == "error" else "warning"
        for condition in each.wanted(context) if policy[each.kind] != "ignore" else ():
            about = {"description": condition.text, "severity": severity}
            built = _expectation(condition, **about, meta={"kind": each.kind})
            rule = Rule(
                table=each.table, kind=each.kind, policy=policy[each.kind], expectation=built
            )
            found.append(rule)
    return found


def _expectation(condition: Condition, **about: Any) -> Any:
    # first used here: importing Great Expectations takes seconds
    import great_expectations.expectations

    gxe: Any = great_expectations.expectations  # exports them, but not for type checkers
    if isinstance(condition, Between):
        bounds = {"min_value": condition.low, "max_value": condition.high}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return gxe.ExpectColumnValuesToBeBetween(column=condition.column, **given, **about)
    if isinstance(condition, IsNot):
        return gxe.ExpectColumnValuesToNotBeInSet(
            column=condition.column, value_set=[condition.value], **about
        )
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(condition.columns), **about)


def judged_tables(raw: RawTables) -> dict[str, pd.DataFrame]:
    """The tables that the rules speak of, by name: ``images``, ``lines`` and ``boxes``."""
    rows = [row for row, _ in raw.bad_lines]
    forms = [bad.form for _, bad in raw.bad_lines]
    lines = pd.DataFrame(
        {
            "row": [*raw.boxes["row"], *rows],
            "form": [LABEL_LINE] * len(raw.boxes) + forms,
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
