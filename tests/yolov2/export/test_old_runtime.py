"""The ONNX files in the oldest ONNX Runtime that this Python can install."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.yolov2.export.test_graphs import MANIFEST, make_source, random_images, random_network
from yolov2.export.formats import FORMATS
from yolov2.export.onnx_graph import ONNX_RUNTIME

OLDEST = {(3, 11): ONNX_RUNTIME, (3, 12): "1.17"}
"""By Python: the first release of ONNX Runtime with wheels for it."""

SCRIPT = """
import sys
import numpy as np
import onnxruntime
onnxruntime.set_default_logger_severity(3)
images, found = np.load(sys.argv[1]), {"version": onnxruntime.__version__}
for file in sys.argv[3:]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found[file] = session.run(None, {"images": images})[0]
np.savez(sys.argv[2], **found)
"""


@pytest.mark.slow
def test_the_oldest_runtime_computes_the_same(tmp_path: Path) -> None:
    release = OLDEST.get(sys.version_info[:2])
    if release is None:
        pytest.skip("no old ONNX Runtime is known for this Python")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    packages = [f"onnxruntime=={release}.*", "numpy<2"]
    command = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages]
    subprocess.run(command, check=True)
    source, files = make_source(random_network()), []
    for kind in FORMATS.values():
        if kind.opset is not None:
            files.append(str(tmp_path / kind.file))
            kind.write(source, kind.manifest(MANIFEST), tmp_path / kind.file)
    images = random_images(2, 64, 96)
    np.save(tmp_path / "images.npy", images)
    places = [tmp_path / "images.npy", tmp_path / "found.npz"]
    subprocess.run([python, "-c", SCRIPT, *places, *files], check=True)
    assert len(files) == 5
    with np.load(tmp_path / "found.npz") as found:
        assert str(found["version"]).startswith(f"{release}.")
        for file in files:
            session = onnxruntime.InferenceSession(file)
            wanted = session.run(None, {"images": images})[0]
            tolerance = 0.5 if "fp16" in file else 0.01  # pixels
            np.testing.assert_allclose(found[file], wanted, rtol=0, atol=tolerance)
