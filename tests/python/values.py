"""Values as text: one form for what the engine writes and for what the oracle expects, so that rows compare byte by byte.

A cell is a str, or None for NULL. Floats are the shortest text that reads back as the same number, laid out as PostgreSQL does;
DECIMAL keeps its scale; times have six decimals.
"""

import datetime
import decimal
import math
import struct

EPOCH = datetime.datetime(1970, 1, 1)


def double_text(value):
    """DOUBLE PRECISION. Negative zero is written as zero: which of both a sum of zeros is has no meaning."""
    if not math.isfinite(value):
        return special_text(value)
    return laid_out(repr(value + 0.0), 15)


def real_text(value):
    """REAL: the fewest digits that give the same 32 bits."""
    if not math.isfinite(value):
        return special_text(value)
    bits = struct.pack("f", value + 0.0)
    for digits in range(9):
        text = f"{value + 0.0:.{digits}e}"
        try:
            if struct.pack("f", float(text)) == bits:
                return laid_out(text, 6)
        except OverflowError:
            continue
    raise ValueError(f"{value} is no REAL")


def special_text(value):
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def laid_out(text, digits_max):
    """Plain notation for exponents from -4 up to `digits_max`, else d.ddde+XX."""
    sign, digits, exponent = decimal.Decimal(text).as_tuple()
    digits = "".join(map(str, digits))
    exponent += len(digits) - 1
    digits = digits.rstrip("0") or "0"
    minus = "-" if sign else ""
    if digits == "0":
        return minus + "0"
    if not -4 <= exponent < digits_max:
        point = "." if len(digits) > 1 else ""
        return f"{minus}{digits[0]}{point}{digits[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if exponent < 0:
        return minus + "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return minus + whole + ("." + rest if rest else "")


def timestamp_text(micros):
    """TIMESTAMP from microseconds since 1970, years 1 to 9999."""
    time = EPOCH + datetime.timedelta(microseconds=micros)
    return (
        f"{time.year:04}-{time.month:02}-{time.day:02} "
        f"{time.hour:02}:{time.minute:02}:{time.second:02}.{time.microsecond:06}"
    )


def cell(value, type_name):
    """A value as it comes from DuckDB or a generator; `type_name` as DuckDB or a stream's declaration writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, int):
        return timestamp_text(value) if type_name.startswith("TIMESTAMP") else str(value)
    if isinstance(value, float):
        return real_text(value) if type_name in ("FLOAT", "REAL") else double_text(value)
    if isinstance(value, decimal.Decimal):
        return decimal_text(value)
    if isinstance(value, datetime.datetime):
        return timestamp_text((value - EPOCH) // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    raise TypeError(f"no text for {value!r} of {type_name}")


def decimal_text(value):
    text = format(value, "f")
    return text.lstrip("-") if value == 0 else text
