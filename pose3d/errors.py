"""The one exception that users are meant to read, and what others say in it."""


class PoseError(Exception):
    """Something the user can mend; its message is one line and says the next step.

    The command line prints it without a traceback and exits with 1 (2 for
    :class:`UsageError`). Names of files, and what is in them, may control a terminal: what cannot
    be printed becomes a question mark.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else "?" for c in super().__str__())


class UsageError(PoseError):
    """An option or argument that cannot mean anything here."""


def in_a_line(error: BaseException, most: int = 200) -> str:
    """What another library's error says, in one line of at most so many characters."""
    return " ".join(str(error).split())[:most]
