"""The choice of anchors as people read it: a short table."""

from yolov2.config.model import STRIDE
from yolov2.data.anchors import AnchorReport


def anchor_table(report: AnchorReport) -> str:
    """The report as a few lines of text for people."""
    pixels = report.anchors * STRIDE
    lines = [f"{len(report.anchors)} anchors ({report.method}) for {report.image_size} px input"]
    lines.append("   width  height  in cells    width  height  in pixels")
    for (w, h), (pixel_w, pixel_h) in zip(report.anchors, pixels, strict=True):
        lines.append(f"{w:8.3f}{h:8.3f}          {pixel_w:8.1f}{pixel_h:8.1f}")
    lines.append(f"mean IoU with the {len(report.sizes_cells)} training boxes:")
    for name, value in report.mean_iou.items():
        lines.append(f"  {name:8s}{value:.4f}{_spread_text(report, name)}")
    return "\n".join(lines)


def _spread_text(report: AnchorReport, name: str) -> str:
    """How far the restarts lie apart, behind the mean IoU of the found anchors."""
    if name != "found":
        return ""
    return f"  (restarts {report.spread['lowest']:.4f} to {report.spread['highest']:.4f})"
