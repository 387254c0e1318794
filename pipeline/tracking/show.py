"""``pipeline views``: where MLflow shows the runs in an order that answers questions."""

from pipeline.params.schema import TrackingConfig, load
from pipeline.running.entry import run_stage
from pipeline.tracking.connection import connect
from pipeline.tracking.experiment import arrange, splits, views_of
from pipeline.tracking.links import page_root, view_link


def main() -> None:
    """Print the address of each view, which is made if the experiment has none yet."""
    print("\n".join(links(load().tracking)))


def links(config: TrackingConfig) -> list[str]:
    """A line for each view of the experiment: its name and the addresses of table and charts.

    Raises:
        TrackingError: the store cannot be used.
    """
    store = connect(config.experiment)
    arrange(store)
    with store.answering():
        tags = dict(store.client.get_experiment(store.experiment_id).tags)
    root, lines = page_root(store.uri), []
    for view in views_of(splits(tags)):
        lines.append(view.name)
        lines.append(f"  table   {view_link(store.experiment_id, view.key, root)}")
        lines.append(f"  charts  {view_link(store.experiment_id, view.key, root, charts=True)}")
    return lines


if __name__ == "__main__":
    run_stage(main)
