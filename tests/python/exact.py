"""Aggregates in exact arithmetic: what DuckDB rounds on the way is computed here over the rows that it selects.

AVG and the variances are rounded once, from an exact fraction; a standard deviation is the square root of that double; a sum of floats is
rounded once. Python's division of integers is correctly rounded, also among subnormal numbers.
"""

import json
import math
from fractions import Fraction

from values import double_text


def split_special(values):
    """The finite values as fractions, and the double that the others make of any sum, or None."""
    finite, special = [], None
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            special = value if special is None else special + value
        else:
            finite.append(Fraction(value))
    return finite, special


def rounded(fraction):
    """The nearest double; None where it does not fit, which a result turns into NULL."""
    try:
        return float(fraction)
    except OverflowError:
        return None


def text(value):
    return None if value is None else double_text(value)


def sum_of_floats(values):
    finite, special = split_special(values)
    if special is not None:
        return text(special)
    return text(rounded(sum(finite))) if finite else None


def average(values):
    finite, special = split_special(values)
    if special is not None:
        return text(special)
    return text(rounded(sum(finite) / len(finite))) if finite else None


def variance(values, sample):
    """None, the double, or NaN if any value is not finite."""
    if len(values) < (2 if sample else 1):
        return None
    finite, special = split_special(values)
    if special is not None:
        return math.nan
    return variance_of_moments(len(finite), sum(finite), sum(value * value for value in finite), sample)


def variance_of_moments(count, total, squares, sample):
    if count < (2 if sample else 1):
        return None
    return rounded((Fraction(squares) - Fraction(total) ** 2 / count) / (count - 1 if sample else count))


def deviation(variance_or_none):
    return None if variance_or_none is None else math.sqrt(variance_or_none)


def finish_list(kind, values):
    """One of the exact aggregates over a list of values, as text."""
    values = [value for value in values or [] if value is not None]
    if kind == "sum":
        return sum_of_floats(values)
    if kind == "avg":
        return average(values)
    result = variance(values, kind.endswith("samp"))
    return text(deviation(result) if kind.startswith("stddev") else result)


def finish_moments(kind, count, total, squares):
    """The same from count, sum and sum of squares of integers."""
    if not count:
        return None
    if kind == "avg":
        return text(rounded(Fraction(total, count)))
    result = variance_of_moments(count, total, squares, kind.endswith("samp"))
    return text(deviation(result) if kind.startswith("stddev") else result)


def top_k(values, limit):
    """A JSON array of [value, count], count descending, then value ascending, bytewise."""
    counts = {}
    for value in values or []:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        return None
    order = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0].encode() if isinstance(entry[0], str) else entry[0]))
    return json.dumps([list(entry) for entry in order[:limit]], ensure_ascii=False, separators=(",", ":"))


class Near:
    """A cell that may lie anywhere between two numbers."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def accepts(self, cell):
        if cell is None:
            return False
        number = float(cell)
        return self.low <= number <= self.high

    def __repr__(self):
        return f"{self.low}..{self.high}"


def near_count(exact):
    """HLL with a standard error of 1 %: five of them either way.

    Small counts are whole numbers that miss one for each value that shares its register with another: of 40 values one does in one case of 20, two
    do in one of 1,000, three in one of 50,000.
    """
    slack = max(1.0 if exact < 20 else 2.0, 0.05 * exact)
    return Near(exact - slack, exact + slack)


def near_percentile(values, quantile):
    """DDSketch: within 1 % of a value whose rank is the quantile's, rounded up or down."""
    values = sorted(value for value in values or [] if value is not None)
    if not values:
        return None
    rank = quantile * (len(values) - 1)
    slack = 0.0101
    low, high = float(values[math.floor(rank)]), float(values[math.ceil(rank)])
    return Near(low - slack * abs(low), high + slack * abs(high))
