"""Checks of the comparison itself: that it reads, writes and computes right, and that it notices what differs."""

import math
from fractions import Fraction

import exact
from results import difference, last_of_changelog, parse_csv
from values import double_text, real_text, timestamp_text


def run(score):
    for check in (texts, csv_fields, exact_numbers, differences, changelogs):
        problems = [f"{found!r}, not {expected!r}" for found, expected in check() if found != expected]
        score.note(f"harness: {check.__name__}", "; ".join(problems) or None)


def texts():
    yield double_text(0.1), "0.1"
    yield double_text(-0.0), "0"
    yield double_text(1e15), "1e+15"
    yield double_text(123456789012345.0), "123456789012345"
    yield double_text(1e-5), "1e-05"
    yield double_text(-0.00012), "-0.00012"
    yield double_text(math.inf), "Infinity"
    yield double_text(5e-324), "5e-324"
    yield double_text(-1234.5), "-1234.5"
    yield real_text(0.10000000149011612), "0.1"
    yield real_text(16777216.0), "1.6777216e+07"
    yield timestamp_text(-1), "1969-12-31 23:59:59.999999"


def csv_fields():
    yield parse_csv('a,"",\n"x ""y""\n",z,1\n'), [["a", "", None], ['x "y"\n', "z", "1"]]
    yield parse_csv('a\r\n""\r\n'), [["a"], [""]]
    yield parse_csv("a,b\n,\n"), [["a", "b"], [None, None]]


def exact_numbers():
    yield exact.sum_of_floats([1e308, 1e308, -1e308]), "1e+308"
    yield exact.sum_of_floats([1e100, 1.0, -1e100]), "1"
    yield exact.sum_of_floats([1e308, 1e308]), None
    yield exact.sum_of_floats([math.inf, -math.inf]), "NaN"
    yield exact.sum_of_floats([]), None
    yield exact.average([1, 2]), "1.5"
    yield exact.finish_list("var_samp", [1]), None
    yield exact.finish_list("var_pop", [1]), "0"
    yield exact.finish_list("stddev_samp", [1, 2, 3, 4]), double_text(math.sqrt(float(Fraction(5, 3))))
    yield exact.finish_moments("var_samp", 4, 10, 30), exact.finish_list("var_samp", [1, 2, 3, 4])
    yield exact.top_k(["b", "a", "b", None, "c"], 2), '[["b",2],["a",1]]'
    yield exact.near_percentile([1, 2, 3], 0.5).accepts("2.01"), True
    yield exact.near_percentile([1, 2, 3], 0.5).accepts("2.1"), False


def differences():
    rows = [("a", "1"), ("b", "2"), ("b", "2")]
    yield difference(rows, rows[::-1], 1), None
    yield difference(rows, rows[:2], 1) is None, False
    yield difference(rows, [*rows, ("c", "3")], 1) is None, False
    yield difference(rows, [("a", "1"), ("b", "2"), ("b", "3")], 1) is None, False
    yield difference([("a", None)], [("a", "")], 1) is None, False
    near = [("a", exact.Near(1, 2))]
    yield difference(near, [("a", "1.5")], 1), None
    yield difference(near, [("a", "2.5")], 1) is None, False
    yield difference(near, [], 1) is None, False
    yield difference(near, [("a", "1.5"), ("b", "1.5")], 1) is None, False
    yield difference(near, [("a", "1.5"), ("a", "1.5")], 1) is None, False


def changelogs():
    names = ["op", "k", "n"]
    rows = [("upsert", "a", "1"), ("upsert", "b", "1"), ("upsert", "a", "2"), ("delete", "b", "1")]
    yield last_of_changelog(names, rows, 1), (["k", "n"], [("a", "2")])
