"""What a promotion is decided on: both versions measured on the same data and this machine."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline.comparison.compare import measure
from pipeline.comparison.finding import Finding, find
from pipeline.comparison.measure import bench_of, measure_speed
from pipeline.params.schema import Params
from pipeline.promotion.rules import Evidence, Side
from pipeline.registry.models import PASSED, PROVEN, Registry, Version
from pipeline.registry.references import find_candidate
from pipeline.tracking.store import Store
from yolov2.runtime.address import resolve
from yolov2.runtime.model_file import open_model

SEED = "train.seed"


def gather(
    params: Params, registry: Registry, challenger: Version, champion: Version | None
) -> tuple[Evidence, Finding | None]:
    """The evidence, and the comparison in full where there was a champion to compare with.

    Raises:
        ValueError: a version was registered without its evaluation, or its files are not at hand.
        TrackingError: the store cannot be used.
    """
    theirs = None if champion is None else _side(registry, champion)
    ours = _side(registry, challenger)
    split, digest = _tag(challenger, "split"), _tag(challenger, "data_digest")
    evidence = Evidence(
        challenger=ours, champion=theirs, comparison=None, split=split, digest=digest
    )
    if champion is None or theirs is None or theirs.class_names != ours.class_names:
        return evidence, None
    bench = bench_of(params)
    sides = [
        [measure(bench, find_candidate(params.tracking, str(version.number)))]
        for version in (champion, challenger)
    ]
    options = params.promote
    finding = find(bench, *sides, resamples=options.resamples, seed=options.seed)
    comparison = finding.comparison
    ap, ap50 = comparison.ap, comparison.ap50
    found = Evidence(
        challenger=replace(ours, ap=ap.b, ap50=ap50.b),
        champion=replace(theirs, ap=ap.a, ap50=ap50.a),
        comparison=comparison,
        split=bench.split,
        digest=bench.digest,
        seed_aps=seed_aps(registry, champion, bench.split, bench.digest),
    )
    return found, finding


def seed_aps(registry: Registry, champion: Version, split: str, digest: str) -> tuple[float, ...]:
    """AP of each seed of the champion's recipe that was evaluated on these data, by seed.

    Evaluations whose parameters are the champion's but for ``train.seed``; of several with one
    seed the newest counts.
    """
    known = registry.store.find_run(_tag(champion, "evaluation_run"))
    if known is None:
        return ()
    recipe = {name: value for name, value in known.data.params.items() if name != SEED}
    wanted = {"stage": "evaluate", "split": split, f"data.{split}": digest}
    found: dict[str, float] = {}
    for run in _finished(registry.store, wanted):
        settings = dict(run.data.params)
        seed = settings.pop(SEED, None)
        if seed is not None and settings == recipe and f"{split}/AP" in run.data.metrics:
            found.setdefault(seed, run.data.metrics[f"{split}/AP"])
    return tuple(ap for _, ap in sorted(found.items()))


def _finished(store: Store, tags: Mapping[str, str]) -> Iterator[Any]:
    """Every finished run with these tags, the newest first."""
    wanted = ["attributes.status = 'FINISHED'", *(f"tags.`{n}` = '{v}'" for n, v in tags.items())]
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id], " and ".join(wanted), page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _side(registry: Registry, version: Version) -> Side:
    """A version by its tags and its graph, which is run here."""
    ap, ap50 = float(_tag(version, "AP")), float(_tag(version, "AP50"))
    graph = resolve(f"models:/{registry.name}/{version.number}", prefer=(".onnx",))
    parity, validation = version.tags.get("parity", ""), version.tags.get("validation", "")
    return Side(
        number=version.number,
        ap=ap,
        ap50=ap50,
        class_names=tuple(open_model(graph, "cpu").manifest.class_names),
        latency_ms=measure_speed(graph).latency_ms,
        megabytes=graph.stat().st_size / 1e6,
        parity="" if parity == PROVEN else parity or "not known",
        validation="" if validation == PASSED else validation or "not known",
    )


def _tag(version: Version, name: str) -> str:
    try:
        return version.tags[name]
    except KeyError:
        raise ValueError(
            f"version {version.number} has no tag '{name}': it was not registered by"
            " `pipeline register`, so there is nothing to decide on"
        ) from None
