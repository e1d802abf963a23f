"""The table of weights in the documentation is the registry's."""

from pathlib import Path

from pose3d.weights import Weights, available_weights

DOCS = Path(__file__).parents[2] / "docs" / "weights.md"


def row(entry: Weights) -> str:
    """A line of the table; what this prints is what the documentation must hold."""
    figures = [
        "" if value is None else str(value)
        for value in (entry.box_ap, entry.keypoint_ap, entry.megabytes)
    ]
    licence = entry.licence + ("" if entry.commercial else ", **not commercial**")
    cells = (f"`{entry.name}`", entry.kind, *figures, licence, entry.description)
    return f"| {' | '.join(cells)} |"


def test_the_table_is_the_registrys(monkeypatch) -> None:
    monkeypatch.delenv("POSE3D_REGISTRY", raising=False)
    lines = DOCS.read_text("utf-8").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("| name | kind |"))) + 2
    wanted = [row(entry) for entry in available_weights()]
    assert lines[start : start + len(wanted)] == wanted, "\n" + "\n".join(wanted)
    assert lines[start + len(wanted)] == ""


def test_the_dialects_are_those_of_the_readers() -> None:
    from pose3d.weights.formats import DIALECTS

    text = DOCS.read_text("utf-8")
    for family, dialects in DIALECTS.items():
        for dialect in dialects:
            assert dialect == family or f"| `{dialect}` |" in text
