"""Numbers as people read them in a terminal."""

_STEPS = ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k"))


def count(number: int) -> str:
    """Write a whole number with separators."""
    return f"{number:,}"


def short(number: float) -> str:
    """Write a number in few characters: 9,999, 12.3k, 4.5M."""
    for size, letter in _STEPS:
        if number >= size:
            return f"{number / (1_000 if letter == 'k' else size):.1f}{letter}"
    return f"{number:,.0f}"


def clock(seconds: float) -> str:
    """Write a duration as m:ss, h:mm:ss or d days h:mm:ss."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour}:{minute:02}:{second:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def share(part: float, whole: float) -> str:
    """Write a share in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def size(number: float) -> str:
    """Write bytes: 12 kB, 3.4 MB, 1.2 GB."""
    for least, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return f"{number / 1000:.0f} kB"
