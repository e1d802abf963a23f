"""Numbers with what they count."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 person``, ``2 people``, ``1,024 frames``.

    Parameters
    ----------
    number
        How many there are.
    one, many
        What a single one and several are called; `one` with an s by default.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
