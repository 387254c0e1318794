"""May the challenger take over? The rules, on evidence that somebody else has gathered.

Nothing here reads a file or a store, so that every rule can be tried on numbers worked by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import stdev

from pipeline.comparison.difference import Comparison
from pipeline.params.promotion import SEEDS_NEEDED, PromoteConfig


@dataclass(frozen=True, kw_only=True)
class Side:
    """A version as the rules see it.

    ``ap`` and ``ap50`` are on the evaluated split; ``latency_ms`` is one image on this machine's
    CPU, ``megabytes`` the graph's size. ``parity`` and ``validation`` are empty where the proof
    is there, else a sentence that says what is missing.
    """

    number: int
    ap: float
    ap50: float
    class_names: tuple[str, ...]
    latency_ms: float
    megabytes: float
    parity: str = ""
    validation: str = ""

    def columns(self) -> dict[str, str]:
        """What the table of versions shows, by heading."""
        return {
            "version": str(self.number),
            "AP": f"{self.ap:.4f}",
            "AP50": f"{self.ap50:.4f}",
            "ms an image (CPU)": f"{self.latency_ms:.2f}",
            "MB": f"{self.megabytes:.1f}",
            "classes": str(len(self.class_names)),
        }


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a decision rests on.

    ``comparison`` has the champion as A and the challenger as B, on the data of ``digest``; it is
    None without a champion, or where the two know other classes. ``seed_aps`` are the APs of the
    champion's recipe, one a seed, as far as they were measured.
    """

    challenger: Side
    champion: Side | None
    comparison: Comparison | None
    split: str
    digest: str
    seed_aps: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule: whether it holds, what was found, and what was asked for."""

    name: str
    passed: bool
    found: str
    wanted: str

    def sentence(self) -> str:
        """``latency: 4.1 ms, at most 3.2 ms wanted``."""
        return f"{self.name}: {self.found}; wanted: {self.wanted}"


def judge(evidence: Evidence, config: PromoteConfig) -> list[Check]:
    """Every rule that applies, in the order in which people read them; all must have passed."""
    challenger, champion = evidence.challenger, evidence.champion
    checks = [
        _at_least("AP", challenger.ap, config.min_ap),
        _at_least("AP50", challenger.ap50, config.min_ap50),
    ]
    if champion is not None:
        checks.append(_same_classes(challenger, champion))
    if evidence.comparison is not None:
        checks.append(_better(evidence, evidence.comparison, config))
        checks += _classes(challenger.class_names, evidence.comparison, config)
    checks += _limits(challenger, champion, config)
    checks.append(_proof("export parity", challenger.parity, "proven on real images"))
    checks.append(_proof("validation", challenger.validation, "passed on the training's data"))
    return checks


def margin(evidence: Evidence, config: PromoteConfig) -> tuple[float, str]:
    """What the difference must exceed, and where that number comes from."""
    if config.margin != "seeds":
        return config.margin, "promote.margin"
    if len(evidence.seed_aps) >= SEEDS_NEEDED:
        return stdev(evidence.seed_aps), f"standard deviation of {len(evidence.seed_aps)} seeds"
    return config.seed_spread, (
        f"promote.seed_spread; {len(evidence.seed_aps)} of {SEEDS_NEEDED} seeds of the champion's"
        " recipe are in the store"
    )


def _at_least(name: str, value: float, limit: float) -> Check:
    return Check(
        name=name, passed=value >= limit, found=f"{value:.4f}", wanted=f"at least {limit:.4f}"
    )


def _same_classes(challenger: Side, champion: Side) -> Check:
    ours, theirs = challenger.class_names, champion.class_names
    new = [name for name in ours if name not in theirs]
    gone = [name for name in theirs if name not in ours]
    found = "the same"
    if new or gone:
        found = f"new: {_some(new)}; gone: {_some(gone)}"
    elif ours != theirs:
        found = "the same in another order"
    return Check(
        name="class list",
        passed=ours == theirs,
        found=found,
        wanted=f"that of the champion, version {champion.number}",
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "none") + more


IN_WORDS = {"A is better": "the champion is better", "B is better": "the challenger is better"}


def _better(evidence: Evidence, comparison: Comparison, config: PromoteConfig) -> Check:
    """The lower end of the interval of the AP difference against the margin."""
    needed, origin = margin(evidence, config)
    ap = comparison.ap
    return Check(
        name="AP difference",
        passed=ap.low > needed,
        found=(
            f"{ap.a:.4f} -> {ap.b:.4f}, {ap.difference:+.4f} (95 % interval {ap.low:+.4f} to"
            f" {ap.high:+.4f}): {IN_WORDS.get(ap.verdict, ap.verdict)}"
        ),
        wanted=f"the whole interval above {needed:+.4f} ({origin})",
    )


def _classes(
    names: Sequence[str], comparison: Comparison, config: PromoteConfig
) -> Iterator[Check]:
    """The class that lost most of those with enough objects; nothing if there is none."""
    rows = zip(names, comparison.by_class, comparison.objects, strict=False)
    judged = [row for row in rows if row[2] >= config.min_class_objects]
    few = len(comparison.by_class) - len(judged)
    if not judged:
        return
    name, worst, objects = min(judged, key=lambda row: row[1].difference)
    yield Check(
        name="worst class",
        passed=worst.difference >= -config.max_class_loss,
        found=(
            f"{name}: {worst.a:.4f} -> {worst.b:.4f}, {worst.difference:+.4f} ({objects} objects)"
        ),
        wanted=(
            f"at least {-config.max_class_loss:+.4f} in each class of {config.min_class_objects}"
            f" objects or more ({few} classes have fewer)"
        ),
    )


def _limits(challenger: Side, champion: Side | None, config: PromoteConfig) -> Iterator[Check]:
    for name, unit, value, other, ratio, most in (
        (
            "latency",
            "ms",
            challenger.latency_ms,
            champion and champion.latency_ms,
            config.max_latency_ratio,
            config.max_latency_ms,
        ),
        (
            "size",
            "MB",
            challenger.megabytes,
            champion and champion.megabytes,
            config.max_size_ratio,
            config.max_megabytes,
        ),
    ):
        limits = [(most, "the limit")] if most else []
        if other:
            limits.append((ratio * other, f"{ratio:g} times the champion's {other:.2f} {unit}"))
        if limits:
            limit, origin = min(limits)
            yield Check(
                name=name,
                passed=value <= limit,
                found=f"{value:.2f} {unit}",
                wanted=f"at most {limit:.2f} {unit} ({origin})",
            )


def _proof(name: str, missing: str, wanted: str) -> Check:
    return Check(name=name, passed=not missing, found=missing or "yes", wanted=wanted)
