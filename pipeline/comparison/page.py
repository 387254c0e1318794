"""The report of a comparison: Markdown, one HTML file, JSON, pictures."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.comparison.details import ERRORS
from pipeline.comparison.difference import Comparison, Difference
from pipeline.comparison.finding import Finding
from pipeline.comparison.pictures import draw_change, save_class_plot
from pipeline.pages import cell, picture, table, write_pages
from yolov2.data.images.reading import read_image
from yolov2.evaluation.optimism import OPTIMISTIC
from yolov2.files import write_json

STEM = "comparison"


def write_page(finding: Finding, folder: Path, *, pictures: int) -> list[Path]:
    """Write the report to ``folder``; all its files."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("changed-*.jpg"):
        old.unlink()
    save_class_plot(finding.comparison, finding.bench.tables.class_names, folder / "classes.png")
    changed = list(_draw_changes(finding, folder, pictures))
    paragraphs = [
        f"**{cell(finding.sentence())}**",
        _covered(finding.comparison),
        _overall(finding.comparison),
        "## Classes",
        picture("AP of B minus A by class", "classes.png"),
        _classes(finding),
        "## Errors",
        _errors(finding),
        "## Images that changed most",
        *(changed or ["No image is judged differently."]),
        "## Settings that differ",
        _settings(finding),
        "## What was compared",
        _candidates(finding),
    ]
    files = write_pages(folder, STEM, f"Comparison: {finding.name()}", paragraphs)
    write_json(folder / f"{STEM}.json", finding.content())
    return [*files, folder / f"{STEM}.json", *folder.glob("*.png"), *folder.glob("*.jpg")]


def _covered(comparison: Comparison) -> str:
    """What the interval covers, in words."""
    text = (
        f"Paired bootstrap over {comparison.images} images, {comparison.resamples} resamples; the"
        " interval covers the choice of the test images"
    )
    if comparison.covers_seeds:
        return (
            f"{text} and the difference between seeds ({comparison.runs[0]} and"
            f" {comparison.runs[1]} runs)."
        )
    return (
        f"{text}. **It does not cover what another seed of the training would change**: with one"
        " run a side, two trainings of one recipe often seem different. Name several runs a side,"
        " joined by commas, to cover that."
    )


def _overall(comparison: Comparison) -> str:
    rows = [("AP", comparison.ap), ("AP50", comparison.ap50)]
    return table(
        ["", "A", "B", "B - A", "95 % interval", "verdict"],
        [[name, *_cells(one), one.verdict] for name, one in rows],
    )


def _classes(finding: Finding) -> str:
    """AP by class, the greatest difference first."""
    comparison = finding.comparison
    rows = list(
        zip(finding.bench.tables.class_names, comparison.by_class, comparison.objects, strict=True)
    )
    rows.sort(key=lambda row: -abs(row[1].difference) if row[2] else 1.0)
    return table(
        ["class", "objects", "AP of A", "AP of B", "B - A", "95 % interval", "verdict"],
        [
            [
                cell(name),
                str(objects),
                *(_cells(one) if objects else ["-"] * 4),
                *([one.verdict] if objects else ["no object"]),
            ]
            for name, one, objects in rows
        ],
    )


def _cells(one: Difference) -> list[str]:
    return [
        f"{one.a:.4f}",
        f"{one.b:.4f}",
        f"{one.difference:+.4f}",
        f"{one.low:+.4f} to {one.high:+.4f}",
    ]


def _errors(finding: Finding) -> str:
    """How many errors of each type a side makes, and what they cost; means over its runs."""
    details = finding.details
    rows = []
    for kind, meaning in ERRORS.items():
        a, b = details.errors_a[kind], details.errors_b[kind]
        rows.append([meaning, f"{a.count:g}", f"{b.count:g}", f"{a.cost:.4f}", f"{b.cost:.4f}"])
    return table(["type", "A", "B", "AP50 that it costs A", "AP50 that it costs B"], rows)


def _draw_changes(finding: Finding, folder: Path, count: int) -> Iterator[str]:
    """Write a picture of each; the Markdown that shows it."""
    bench, sides = finding.bench, (finding.a[0], finding.b[0])
    several = max(finding.comparison.runs) > 1
    if several:
        yield "F1 is the mean over the runs of a side; the pictures show the first run of each."
    for number, one in enumerate(finding.details.images[:count], start=1):
        name = f"changed-{number}.jpg"
        first = "first of " if several else ""
        drawn = draw_change(
            read_image(bench.root / one.image),
            bench.truth[one.image_id],
            [side.detections[one.image_id] for side in sides],
            bench.tables.class_names,
            ["annotated", f"{first}A: F1 {one.before:.2f}", f"{first}B: F1 {one.after:.2f}"],
        )
        drawn.save(folder / name, quality=88)
        title = f"{one.image}: F1 {one.before:.2f} -> {one.after:.2f}"
        yield f"{cell(title)}\n\n{picture(title, name)}"


def _settings(finding: Finding) -> str:
    """Settings that have another value on one side, then those that vary within both alike."""
    settings = finding.details.settings
    if settings is None:
        return "Not known of all: a checkpoint alone does not tell its settings."
    rows = [
        [cell(one.name), cell(", ".join(one.a)), cell(", ".join(one.b))]
        for one in settings
        if one.differs
    ]
    alike = [f"{cell(one.name)} ({cell(', '.join(one.a))})" for one in settings if not one.differs]
    within = [f"The same on both sides, but not in all runs: {'; '.join(alike)}."] if alike else []
    between = table(["setting", "A", "B"], rows) if rows else "None."
    return "\n\n".join([between, *within])


def _candidates(finding: Finding) -> str:
    rows = []
    for letter, side in (("A", finding.a), ("B", finding.b)):
        for one in side:
            speed, size = one.speed, "not measured (its file is not at hand, or --no-speed)"
            if speed is not None:
                size = f"{speed.bytes / 1e6:.1f} MB, {speed.latency_ms:.1f} ms an image of"
                size += f" {speed.image_size} px ({speed.device}, {speed.threads} threads)"
            source = "evaluated now" if one.evaluated_anew else "stored detections"
            known = one.candidate.run_id or "-"
            rows.append([letter, cell(one.candidate.name), cell(known), source, size])
    digest = finding.bench.digest
    split = finding.bench.split
    seen = f" The figures are **optimistic**: {OPTIMISTIC[split]}." if split in OPTIMISTIC else ""
    return f"Data: {split} split, digest `{digest}`; the same for all.{seen}\n\n" + table(
        ["side", "name", "MLflow run", "detections", "size and speed"], rows
    )
