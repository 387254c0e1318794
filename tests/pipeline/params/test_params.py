"""``params.yaml``: what is shipped, what is refused and how, the presets."""

import time
from pathlib import Path

import pytest

from pipeline.params.presets import DEMO, FULL, render
from pipeline.params.schema import load
from pipeline.params.tracking import TrackingConfig
from pipeline.params.use import use_preset
from pipeline.registry.models import Registry
from pipeline.registry.weights import ADDRESS
from tests.datasets import write_dataset

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize("levels", [7, 60])
@pytest.mark.parametrize("place", ["train", "  lr"])
def test_aliases_cannot_blow_up(tmp_path: Path, place: str, levels: int) -> None:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    lines += [
        f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]"
        for level in range(1, levels)
    ]
    path = tmp_path / "params.yaml"
    path.write_text("\n".join([*lines, "model:", f"{place}: *a{levels - 1}\n"]))
    start = time.process_time()
    with pytest.raises(
        ValueError, match=r"params\.yaml:\d+: \w+: its aliases \(\*name\)"
    ) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))
    assert time.process_time() - start < 2


def test_aliases_are_allowed_in_reason(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("digits:\n  seed: &seed 7\nanchors:\n  seed: *seed\n")
    assert load(path).anchors.seed == 7


def test_nesting_without_end_and_long_values_are_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for text in ("[" * 999 + "]" * 999, "train:\n  epochs: " + "9a" * 100_000, 'a: "\\ud83d"\n'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"params\.yaml") as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("key", ["experiment", "model_name"])
@pytest.mark.parametrize(
    "name",
    [
        # what ends a filter's text, a filter's name, an address, a path, an override, a line
        "joe's", 'a"b', "a`b", "a@b", "a/b", "a:b", "a?b", "a#b", "a%b", "a\\b", "a,b", "a=b",
        "a$b", "a;b", "a\nb", "a\tb", "a\0b", "a\ud800b", "", " ", " a", "a ", ".", "..", "-S",
        "😀",
    ],
)  # fmt: skip
def test_names_that_mlflow_dvc_or_a_folder_cannot_take_are_refused(key: str, name: str) -> None:
    with pytest.raises(ValueError, match="must be a name of letters") as caught:
        TrackingConfig(**{key: name})
    assert str(caught.value) == (
        f"{key} must be a name of letters and digits, between them also blanks and the signs _ - ."
        " +: it stands in filters, addresses (models:/NAME@champion), folders and -S KEY=VALUE;"
        f" not {name!r}"
    )


def test_a_name_that_is_too_long_for_a_folder_is_refused() -> None:
    TrackingConfig(model_name="数" * 60)
    with pytest.raises(ValueError, match="model_name must be 180 bytes or less in UTF-8, not 183"):
        TrackingConfig(model_name="数" * 61)


def test_a_name_is_checked_where_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("tracking:\n  model_name: joe's\n")
    with pytest.raises(ValueError, match=r"params\.yaml:1: tracking: model_name must be a name of"):
        load(path)


@pytest.mark.parametrize("name", ["yolov2", "blood cells 2.1", "Zähler_v2+x", "数字", "7", "हिन्दी"])
def test_a_name_that_passes_works_in_the_store(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    config = TrackingConfig(model_name=name, experiment=name)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    registry = Registry(config)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model(name)
    client.create_model_version(name, source=str(tmp_path))
    registry.set_alias("champion", 1)
    assert registry.numbers() == [1]
    assert registry.find("onnx_sha256", "x") is None
    found = registry.with_alias("champion")
    assert found is not None
    assert found.number == 1
    address = ADDRESS.fullmatch(f"models:/{name}@champion")
    assert address is not None
    assert address["name"] == name
    (tmp_path / f"{name}-1").mkdir()


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


def test_use_says_which_splits_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    only_train = write_dataset(Path("a"), {"train": {"a": "0 .5 .5 .2 .2"}})
    use_preset("full", only_train)
    assert "note: the data set has no val split (it has: train): move" in capsys.readouterr().out
    roboflow = write_dataset(Path("b"), {"train": {"a": ""}, "val": {"b": ""}})
    roboflow.write_text(roboflow.read_text() + "test: ../test/images\n")
    use_preset("full", roboflow)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("note: b/data.yaml:4: test: '../test/images' not found under")
    assert load(Path("params.yaml")).evaluate.split == "val"
    with pytest.raises(ValueError, match="c/data.yaml: train is missing: the pipeline learns"):
        use_preset("full", write_dataset(Path("c"), {"val": {"a": ""}}))


def test_use_keeps_what_no_recipe_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "params.yaml"
    file.write_text(render("demo", DEMO))
    changes = {"approval: false": "approval: true", "zero_size: error": "zero_size: drop"}
    for old, new in (changes | {"epochs: 12": "epochs: 13"}).items():
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    use_preset("demo", None)
    assert "kept as you have set them: validate, flows\n" in capsys.readouterr().out
    params = load(file)
    assert (params.validate.zero_size, params.flows.approval) == ("drop", True)
    assert params.train == DEMO.train
    assert params.promote == DEMO.promote

    data = write_dataset(Path("set"), {"train": {"a": "0 .5 .5 .2 .2"}, "val": {"b": ""}})
    use_preset("full", data)
    assert load(file).validate.zero_size == "drop"
    assert load(file).promote == FULL.promote  # nobody has set the demo's

    file.write_text("train: {lr: much}\n")
    capsys.readouterr()
    use_preset("demo", None)
    said = capsys.readouterr().out
    assert "params.yaml:1: train.lr: " in said
    assert "nothing of the old file is kept" in said
    assert load(file) == DEMO


def test_full_without_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="name it with --data"):
        use_preset("full", None)
    assert not Path("params.yaml").exists()
