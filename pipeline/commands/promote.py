"""``pipeline promote``."""

import argparse

from pipeline.commands.reply import add_json, add_summary, replying

SUMMARY = "the challenger becomes champion, if the evidence says so"
DESCRIPTION = """\
The challenger becomes champion if the evidence says so. Both are measured on the same evaluation
split (stored detections of the very same data, else evaluated anew) and judged by the rules in
params.yaml, section promote. The decision is a page in reports/promotion/, tags of the version and
a run in MLflow.

Exit status 0: the challenger is (now) the champion; 3: it was refused, declined or waits for
approval; 1: there is nothing to decide on.
"""
EXAMPLE = """\
example:
  pipeline promote --dry-run                        what would be decided
  pipeline promote --force --reason "hotfix"        against the rules; kept with the version
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline promote``."""
    parser.add_argument("--version", type=int, metavar="N", help="default: alias challenger")
    parser.add_argument("--dry-run", action="store_true", help="decide and write the page only")
    parser.add_argument("--force", action="store_true", help="promote although a rule says no")
    parser.add_argument("--reason", default="", help="why, with --force; kept with the version")
    parser.add_argument(
        "--hold", action="store_true", help="one that the rules accept waits for a person's word"
    )
    parser.add_argument("--decline", default="", metavar="TEXT", help="a person says no, and why")
    parser.add_argument("--by", default="", metavar="NAME", help="who decides; default: you")
    parser.add_argument(
        "--new-only", action="store_true", help="not again what these rules decided already"
    )
    add_json(parser)
    add_summary(parser)


def run(args: argparse.Namespace) -> int:
    """Decide, write the page, move the aliases, print the decision; the exit status."""
    from dataclasses import asdict

    from pipeline.params.schema import load
    from pipeline.promotion.promote import promote
    from pipeline.promotion.settled import decline
    from pipeline.running.person import person
    from yolov2.config.section import require

    reason, declined, by = args.reason.strip(), args.decline.strip(), args.by or person()
    require(
        args.force == bool(reason), "--force and --reason TEXT go together: who forces says why"
    )
    params = load()
    with replying(args.json, args.summary) as reply:
        if declined:
            done = decline(params, args.version, declined, by)
        else:
            done = promote(
                params,
                number=args.version,
                dry_run=args.dry_run,
                forced=reason,
                new_only=args.new_only,
                hold=args.hold,
                by=by,
            )
        reply(asdict(done))
    return done.status
