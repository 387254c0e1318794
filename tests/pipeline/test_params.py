"""``params.yaml``: what is shipped, what is refused and how, the presets."""

from pathlib import Path

import pytest

from pipeline.params.__main__ import use_preset
from pipeline.params.presets import DEMO, FULL, render
from pipeline.params.schema import load
from tests.datasets import write_dataset

ROOT = Path(__file__).parents[2]


def test_the_shipped_file_is_the_demo_preset() -> None:
    assert (ROOT / "params.yaml").read_text() == render("demo", DEMO)
    assert load(ROOT / "params.yaml") == DEMO


def test_full_is_the_published_recipe(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(render("full", FULL))
    params = load(path)
    assert (params.model.image_size, params.model.width) == (640, 1.0)
    train = params.train
    assert (train.lr, train.epochs, train.lr_steps) == (0.001, 160, (60, 90))
    loss = train.loss
    assert (loss.lambda_coord, loss.lambda_noobj, loss.lambda_class) == (5.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: !!python/object/apply:os.mkdir [x]\n", "1: train: Input should be an object"),
        ("train:\n  epoch: 3\n", "2: unknown key 'train.epoch'; known here: epochs, batch_size"),
        ("trian:\n  lr: 1\n", "1: unknown key 'trian'; known here: data, digits"),
        ("train:\n  loss:\n    lamda: 1\n", "3: unknown key 'train.loss.lamda'"),
        ("train:\n  epochs: many\n", '2: train.epochs: Input should be a valid integer, not'),
        ("train:\n  epochs: 2.5\n", "2: train.epochs: Input should be a valid integer"),
        ("train:\n  epochs:\n", "2: train.epochs: Input should be a valid integer, not null"),
        ("train:\n  lr: .nan\n", "2: train.lr: Input should be a finite number, not NaN"),
        ("train:\n  epochs: 0\n", "1: train: epochs must be between 1 and 1e+06, not 0"),
        ("model:\n  image_size: 100\n", "1: model: image_size must be a multiple of 32, 64"),
        ("train:\n  lr_steps: [9, 3]\n", "1: train: lr_steps must be rising epochs, not [9, 3]"),
        ("anchors:\n  method: given\n", "1: anchors: method 'given' needs the anchors"),
        ("evaluate:\n  split: tset\n", "2: evaluate.split: Input should be 'train', 'val'"),
        ("schedule:\n  cron: daily\n", "1: schedule: cron must have five fields"),
        ("train: 3\n", "1: train: "),
        ("- a\n", " must hold sections"),
        ("train: [\n", " cannot be read as YAML: "),
        ("train:\n  lr: 1\n  lr: 2\n", 'duplicate key "lr"'),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_file_line_and_value(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pipeline.params use demo"):
        load(tmp_path / "params.yaml")


def test_exponents_are_numbers_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train:\n  lr: 1e-3\n")
    assert load(path).train.lr == 0.001


def test_use_full_names_the_data_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("# mine\n")
    description = write_dataset(tmp_path / "set", {"train": {"a": "0 .5 .5 .2 .2"}})
    use_preset("full", description.relative_to(tmp_path))
    params = load(Path("params.yaml"))
    assert params.data.config == description.relative_to(tmp_path).as_posix()
    assert params.data.root == "."
    assert params.model == FULL.model
    assert Path("params.yaml.bak").read_text() == "# mine\n"


def test_full_without_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="name it with --data"):
        use_preset("full", None)
    assert not Path("params.yaml").exists()
