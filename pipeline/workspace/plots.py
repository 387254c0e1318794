"""DVC's plot pages without a network.

They load their chart library from a server far away; behind a firewall, or in some years, they stay
blank. Here the library itself is put into the pages' template.
"""

import os
from pathlib import Path

from pipeline.workspace.dvc import dvc
from yolov2.files import write_text

TEMPLATE = Path(".dvc") / "plots_offline.html"

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    {{refresh_tag}}
    <title>Plots of the pipeline</title>
    <script>{library}</script>
    <style>
        body {{ font-family: sans-serif; margin: 2em; }}
        table {{ border-spacing: 15px; }}
        img {{ max-width: 100%; }}
    </style>
</head>
<body>
    {{plot_divs}}
</body>
</html>
"""


def make_template() -> None:
    """Write the template and name it in ``.dvc/config.local``.

    Raises:
        ValueError: the current folder is no DVC repository's root.
    """
    if not TEMPLATE.parent.is_dir():
        raise ValueError(f"no {TEMPLATE.parent} here: run from the repository's root")
    import vl_convert

    # DVC's charts are written for Vega-Lite 5
    newest = [name for name in vl_convert.get_vegalite_versions() if name.startswith("5.")][-1]
    library = vl_convert.javascript_bundle(vl_version=newest)  # type: ignore[call-arg]
    write_text(TEMPLATE, PAGE.format(library=library))
    # relative to .dvc; not in the shared configuration, where a clone without the file would fail
    dvc(Path(), os.environ, "config", "--local", "plots.html_template", TEMPLATE.name)
