"""The cases: every kind of window, aggregate, filter and function, over the flight log and over random tables."""

from dataclasses import replace

from cases import (
    COUNT,
    NO_WINDOW,
    Both,
    Case,
    Stream,
    Table,
    approx_count,
    approx_median,
    approx_percentile,
    cumulate,
    exact,
    hop,
    picked,
    plain,
    session,
    top_k,
    tumble,
)
from inputs import FLIGHTS, flight_tables, random_tables

K, G, FLAG, S = ("k", "k"), ("g", "g"), ("flag", "flag"), ("s", "s")
SUM_N, SUM_D = plain("sum_n", "SUM(n)"), plain("sum_d", "SUM(d)")
MIN_MAX = tuple(plain(f"{f}_{c}", f"{f.upper()}({c})") for c in ("n", "big", "x", "r", "d", "k", "day", "ts", "s") for f in ("min", "max"))
MOMENTS = ("avg", "var_pop", "var_samp", "stddev_pop", "stddev_samp")


def flight_cases(flight_log):
    log = Stream("flights", FLIGHTS, "3 hours", "event_time")
    head_table, origins = flight_tables(flight_log, 30_000)
    head = Stream("flights_head", head_table, "1 hour", "event_time")
    by_origin = Stream("flights_by_origin", origins, "90 minutes", "event_time")
    carrier, origin, dest, status = (("carrier", "carrier"), ("origin", "origin"), ("dest", "dest"), ("status", "status"))
    rates = (
        plain("flights", "COUNT(*)"),
        plain(
            "on_time_rate",
            "COUNT(*) FILTER (WHERE status = 'ON_TIME')::DOUBLE PRECISION / COUNT(*)",
            "count(*) FILTER (WHERE status = 'ON_TIME')::DOUBLE / count(*)",
        ),
        plain(
            "cancellation_rate",
            "COUNT(*) FILTER (WHERE status = 'CANCELLED')::DOUBLE PRECISION / COUNT(*)",
            "count(*) FILTER (WHERE status = 'CANCELLED')::DOUBLE / count(*)",
        ),
    )
    delays = tuple(exact(f"{kind}_arr", kind, "arr_delay_min", moments=True) for kind in MOMENTS)
    yield Case("main_job", log, hop("1 hour", "1 day"), (carrier,), rates)
    yield Case("main_job_by_origin", log, hop("1 hour", "1 day"), (origin,), rates, having="COUNT(*) >= 100")
    yield Case("hourly", log, tumble("1 hour"), (origin,), (COUNT, plain("minutes", "SUM(dep_delay_min)")))
    yield Case("hop_many_slices", log, hop("5 minutes", "3 hours"), (origin,), (COUNT, plain("worst", "MAX(arr_delay_min)")))
    yield Case("cumulated_day", log, cumulate("2 hours", "1 day"), (carrier,), (COUNT, plain("miles", "SUM(distance)")))
    yield Case("delays", log, tumble("1 day"), (carrier,), delays)
    yield Case("delays_sliding", log, hop("6 hours", "2 days"), (carrier,), delays[:2] + (plain("best", "MIN(dep_delay_min)"),))
    yield Case("sessions_of_routes", log, session("6 hours"), (origin, dest), (COUNT, plain("miles", "SUM(distance)")))
    yield Case("whole_log", log, tumble("400 days"), (), rates)
    yield Case("running_total", log, NO_WINDOW, (carrier,), rates, changelog=True)
    yield Case("busiest", log, tumble("1 day"), (origin,), (top_k("top", "dest", 3), approx_count("dests", "dest")))
    yield Case("medians", log, tumble("7 days"), (carrier,), (approx_median("median", "arr_delay_min"), approx_percentile("p95", "arr_delay_min", 0.95)))
    yield Case("late_flights", log, NO_WINDOW, late_rows=True)
    yield Case("bound_0", replace(log, name="strict", bound=None), tumble("1 hour"), (carrier,))
    yield Case("bound_1_day", replace(log, name="patient", bound="1 day"), tumble("1 hour"), (carrier,))
    yield Case("shifted_days", log, tumble("1 day", "-5 hours"), (status,), (COUNT,))
    yield Case("by_weekday", log, hop("1 day", "28 days"), (("weekday", Both("EXTRACT(dow FROM event_time)", "extract(dow FROM event_time)::DOUBLE")),))
    yield Case("routes", log, tumble("30 days"), (("route", "origin || '-' || dest"),), (COUNT,), where="distance > 2000")
    yield Case("distinct_dests", log, hop("1 day", "7 days"), (carrier,), (plain("dests", "COUNT(DISTINCT dest)"), plain("rungs", "SUM(DISTINCT distance)")))
    yield Case("firsts", log, tumble("1 day"), (origin,), (picked("first", "FIRST_VALUE(flight_id)"), picked("last", "LAST_VALUE(flight_id)")))
    yield Case("worst_flight", log, hop("12 hours", "1 day"), (carrier,), (picked("worst", "ARG_MAX(flight_id, arr_delay_min)"),))
    yield Case("json_flights", replace(head, name="flights_json", format="jsonl"), hop("30 minutes", "2 hours"), (carrier,), rates)
    yield Case("parquet_flights", replace(head, name="flights_parquet", format="parquet"), hop("30 minutes", "2 hours"), (carrier,), rates)
    yield Case("three_files", by_origin, hop("1 hour", "6 hours"), (carrier,), rates + delays[:1])
    yield Case("three_files_late", by_origin, NO_WINDOW, late_rows=True)
    yield Case("three_files_gzip", replace(by_origin, name="gz", gzip=True), session("45 minutes"), (carrier, status))


def streams_of(seed):
    """Streams over random tables: before, across and after 1970, one split and several, three formats."""
    new = random_tables(seed, "new")
    zoned = tuple((name, "TIMESTAMPTZ" if name == "ts" else kind) for name, kind in random_tables(seed, "epoch", 800).columns)
    malformed = ((0, 5, "not,enough"), (0, 40, "x,k,1,true,1,1,1,1,1,1,2024-01-01,2024-01-01 00:00:00"), (0, 41, "1,k,1,true,1,1,1,1,1,1,2024-01-01,2024-13-01"))
    return {
        "new": Stream("events_new", new, "5 seconds"),
        "epoch": Stream("events_epoch", random_tables(seed, "epoch"), None),
        "old": Stream("events_old", random_tables(seed, "old", splits=3), "1 minute", gzip=True),
        "json": Stream("events_json", random_tables(seed, "epoch", splits=2, specials=False), "10 seconds", format="jsonl"),
        "parquet": Stream("events_parquet", random_tables(seed, "new", splits=2), "10 seconds", format="parquet"),
        "zoned": Stream("events_zoned", replace(random_tables(seed, "epoch", 800), name=f"zoned_{seed}", columns=zoned), "20 seconds"),
        "malformed": Stream("malformed", Table(f"malformed_{seed}", new.columns, (new.splits[0][:600],), malformed), "5 seconds"),
    }


def random_cases(seed):
    streams = streams_of(seed)
    for case in [*window_cases(streams), *aggregate_cases(streams), *condition_cases(streams), *function_cases(streams), *other_cases(streams)]:
        yield case if seed == 1 else replace(case, name=f"{case.name}_seed_{seed}")


def window_cases(streams):
    plain_columns = (COUNT, SUM_N, plain("max_x", "MAX(x)"))
    for place in ("new", "epoch", "old"):
        stream = streams[place]
        yield Case(f"tumble_{place}", stream, tumble("10 seconds"), (K,), plain_columns)
        yield Case(f"hop_{place}", stream, hop("2 seconds", "20 seconds"), (G,), plain_columns)
        yield Case(f"cumulate_{place}", stream, cumulate("5 seconds", "1 minute"), (FLAG,), plain_columns)
        yield Case(f"session_{place}", stream, session("3 seconds"), (K,), plain_columns)
        yield Case(f"late_{place}", stream, NO_WINDOW, late_rows=True)
    yield Case("hop_odd", streams["old"], hop("7 seconds", "91 seconds"), (G,), plain_columns)
    yield Case("hop_long", streams["new"], hop("1 second", "10 minutes"), (FLAG,), (COUNT, plain("min_n", "MIN(n)")))
    yield Case("hop_is_tumble", streams["epoch"], hop("30 seconds", "30 seconds"), (G,), plain_columns)
    yield Case("hop_milliseconds", streams["new"], hop("250 milliseconds", "1 second"), (), (COUNT,))
    yield Case("tumble_microseconds", streams["epoch"], tumble("1 microsecond"), (), (COUNT,), where="id % 10 = 0")
    yield Case("tumble_shifted", streams["epoch"], tumble("1 minute", "13 seconds"), (G,), plain_columns)
    yield Case("hop_shifted_back", streams["epoch"], hop("10 seconds", "1 minute", "-3 seconds"), (G,), plain_columns)
    yield Case("cumulate_shifted", streams["old"], cumulate("10 seconds", "2 minutes", "45 seconds"), (G,), plain_columns)
    yield Case("tumble_flink", streams["old"], tumble("1 minute", flink=True), (G,), plain_columns)
    yield Case("hop_flink", streams["old"], hop("20 seconds", "1 minute", flink=True), (G,), plain_columns)
    yield Case("session_global", streams["epoch"], session("1 second"), (), plain_columns)
    yield Case("session_two_keys", streams["old"], session("30 seconds"), (K, FLAG), plain_columns)
    yield Case("session_long_gap", streams["new"], session("10 minutes"), (G,), plain_columns)
    yield Case("zoned_tumble", streams["zoned"], tumble("15 seconds"), (K,), plain_columns)
    yield Case("zoned_session", streams["zoned"], session("5 seconds"), (K,), plain_columns)
    yield Case("zoned_late", streams["zoned"], NO_WINDOW, late_rows=True)


def aggregate_cases(streams):
    new, epoch, old = streams["new"], streams["epoch"], streams["old"]
    wide = hop("10 seconds", "1 minute")
    yield Case("count_column", new, tumble("30 seconds"), (G,), (COUNT, plain("k", "COUNT(k)"), plain("x", "COUNT(x)")))
    yield Case("min_max", new, tumble("1 minute"), (G,), MIN_MAX)
    yield Case("min_max_sliding", old, wide, (FLAG,), MIN_MAX)
    yield Case("min_max_session", epoch, session("2 seconds"), (G,), MIN_MAX)
    sums = (SUM_N, plain("big", "SUM(big)"), SUM_D, plain("s", "SUM(s)"), plain("g", "SUM(g)"))
    yield Case("sums", new, tumble("1 minute"), (K,), sums)
    yield Case("sums_sliding", epoch, wide, (K,), sums)
    float_sums = (exact("x", "sum", "x"), exact("r", "sum", "r"))
    yield Case("float_sums", new, tumble("1 minute"), (G,), float_sums)
    yield Case("float_sums_sliding", epoch, wide, (G,), float_sums)
    yield Case("float_sums_session", old, session("20 seconds"), (G,), float_sums)
    for argument in ("n", "big", "x", "r", "d"):
        columns = tuple(exact(kind, kind, argument) for kind in MOMENTS)
        yield Case(f"moments_{argument}", new, tumble("1 minute"), (G,), columns)
        yield Case(f"moments_{argument}_sliding", epoch, wide, (FLAG,), columns)
    bools = (plain("every", "BOOL_AND(flag)"), plain("some", "BOOL_OR(flag)"), plain("high", "BOOL_AND(n > -1000)"))
    yield Case("bools", old, hop("5 seconds", "15 seconds"), (G,), bools)
    picks = tuple(picked(f"{f}_{c}", f"{f.upper()}({c})") for f in ("first_value", "last_value") for c in ("k", "n", "d", "flag"))
    yield Case("first_last", epoch, tumble("30 seconds"), (G,), picks)
    yield Case("first_last_sliding", old, wide, (FLAG,), picks)
    by = tuple(picked(f"{f}_{b}", f"{f.upper()}({a}, {b})") for f in ("arg_min", "arg_max") for a, b in (("id", "g"), ("k", "n"), ("x", "s"), ("n", "x")))
    yield Case("arg_min_max", epoch, tumble("30 seconds"), (FLAG,), by)
    yield Case("arg_min_max_sliding", old, wide, (), by)
    yield Case("arg_min_max_session", new, session("3 seconds"), (G,), by[:2] + by[4:6])
    distinct = (
        plain("ks", "COUNT(DISTINCT k)"),
        plain("gs", "COUNT(DISTINCT g)"),
        plain("ds", "COUNT(DISTINCT d)"),
        plain("sum_g", "SUM(DISTINCT g)"),
        plain("sum_s", "SUM(DISTINCT s)"),
    )
    yield Case("distincts", new, tumble("1 minute"), (FLAG,), distinct)
    yield Case("distincts_sliding", epoch, wide, (FLAG,), distinct)
    filters = (
        plain("up", "COUNT(*) FILTER (WHERE n > 0)"),
        plain("null_is_false", "COUNT(*) FILTER (WHERE flag)"),
        plain("sum", "SUM(n) FILTER (WHERE k LIKE 'a%' OR k IS NULL)"),
        plain("max", "MAX(d) FILTER (WHERE d < 0)"),
        exact("avg", "avg", "d", "g > 0"),
        picked("last", "LAST_VALUE(id)", "flag IS NOT TRUE"),
    )
    yield Case("filters", new, hop("15 seconds", "1 minute"), (G,), filters)
    arithmetic = (
        plain("share", "100 * COUNT(*) FILTER (WHERE flag) / COUNT(*)", "100 * count(*) FILTER (WHERE flag) // count(*)"),
        plain("span", "MAX(n) - MIN(n)"),
        plain("size", "CASE WHEN COUNT(*) > 20 THEN 'many' WHEN COUNT(*) > 5 THEN 'some' ELSE 'few' END"),
        plain("or_zero", "COALESCE(MAX(g), 0)"),
        plain("label", "k || '!'", "key_0 || '!'"),
    )
    yield Case("arithmetic_over_groups", new, tumble("1 minute"), (K,), arithmetic)
    approximations = (
        approx_count("ids", "id"),
        approx_count("ks", "k"),
        approx_percentile("p90", "n", 0.9),
        approx_percentile("p10", "d", 0.1),
        approx_median("median", "s"),
    )
    yield Case("approximations", new, tumble("5 minutes"), (FLAG,), approximations)
    yield Case("approximations_sliding", epoch, hop("1 minute", "10 minutes"), (FLAG,), approximations)
    tops = (top_k("ks", "k", 3), top_k("all_ks", "k", 100, "n > 0"), top_k("gs", "g", 2))
    yield Case("top_k", old, tumble("5 minutes"), (FLAG,), tops)
    yield Case("top_k_sliding", new, hop("30 seconds", "2 minutes"), (), tops)


def condition_cases(streams):
    conditions = {
        "comparison": "n >= 0 AND d < 50000 AND g <> 3",
        "between": "n BETWEEN -100 AND 100 OR d NOT BETWEEN -1 AND 1",
        "in_list": "g IN (1, 2, 3) OR k IN ('alpha', 'gamma', '')",
        "not_in_null": "g NOT IN (1, NULL) OR g = 1",
        "is_null": "k IS NULL OR (n IS NOT NULL AND x IS NULL)",
        "distinct_from": "g IS DISTINCT FROM s % 6 AND k IS NOT DISTINCT FROM k",
        "like": "k LIKE '%a' OR k LIKE '_eta' OR k LIKE '100\\%' ESCAPE '\\'",
        "ilike": "k ILIKE 'ALPHA' OR k NOT ILIKE '%A%'",
        "regex": Both("k ~ '^[a-z]+$' OR k ~ '[0-9]'", "regexp_matches(k, '^[a-z]+$') OR regexp_matches(k, '[0-9]')"),
        "three_valued": "NOT (flag AND n > 0) OR (flag IS NULL AND NOT g > 0)",
        "case": "CASE WHEN n > 0 THEN flag WHEN n < -500 THEN TRUE ELSE g > 0 END",
        "times": "ts >= TIMESTAMP '1970-01-01 00:00:00' AND ts < TIMESTAMP '2024-01-01 00:20:00'",
        "dates": "day > DATE '1970-01-01' OR day < DATE '1969-06-15'",
        "nothing": "1 = 2",
        "guarded": Both("g <> 0 AND 100 / g > 10", "CASE WHEN g <> 0 THEN 100 // g > 10 END"),
    }
    for name, condition in conditions.items():
        stream = streams["new" if name in ("like", "guarded") else "epoch"]
        yield Case(f"where_{name}", stream, tumble("20 seconds"), (G,), (COUNT, SUM_N), where=condition)
    # A row that WHERE removes moves the watermark all the same, here the highest ones.
    yield Case("where_and_late", streams["epoch"], tumble("1 second"), (), (COUNT,), where="id % 3 = 0")
    yield Case("having_count", streams["new"], hop("5 seconds", "30 seconds"), (G,), having="COUNT(*) BETWEEN 3 AND 8")
    yield Case("having_null", streams["new"], tumble("5 seconds"), (K,), (COUNT, SUM_N), having=Both("SUM(n) > 0 OR k IS NULL", "sum(n) > 0 OR key_0 IS NULL"))
    yield Case("having_other_aggregate", streams["old"], session("20 seconds"), (G,), (COUNT,), having="MAX(d) > 0 AND COUNT(DISTINCT k) > 1")
    # Division by zero in a value that is needed takes the row out of the metric.
    divided = plain("divided", "SUM(100 / g)", "sum(100 // g)")
    yield Case("bad_rows_of_metric", streams["epoch"], tumble("30 seconds"), (FLAG,), (COUNT, divided), where=Both("", "g IS NULL OR g <> 0"), bad="g = 0")
    guarded = plain("divided", "SUM(100 / g) FILTER (WHERE g <> 0)", "sum(100 // g) FILTER (WHERE g <> 0)")
    yield Case("guarded_by_filter", streams["epoch"], tumble("30 seconds"), (FLAG,), (COUNT, guarded))


def function_cases(streams):
    """Functions as keys; both dialects give the same type and text, or the second is cast to what the first gives."""
    keys = {
        "lower": "LOWER(k)",
        "upper": "UPPER(k)",
        "trim": "TRIM(k)",
        "ltrim": "LTRIM(k, 'ab')",
        "rtrim": "RTRIM(k, 'a')",
        "substring": "SUBSTRING(k FROM 2 FOR 3)",
        "left": "LEFT(k, 2)",
        "left_negative": "LEFT(k, -2)",
        "right": "RIGHT(k, 2)",
        "length": "LENGTH(k)",
        "replace": "REPLACE(k, 'a', 'oo')",
        "split_part": "SPLIT_PART(k, '-', 2)",
        "starts_with": "STARTS_WITH(k, 'a')",
        "concat": "CONCAT(k, '/', g)",
        "concat_operator": "k || ':' || g::VARCHAR",
        "md5": "MD5(k)",
        "abs": "ABS(g)",
        "sign": Both("SIGN(x)", "CASE WHEN isnan(x) THEN 0 ELSE sign(x) END::DOUBLE"),
        "round": Both("ROUND(x / 1e5)", "round(x / 1e5) + 0.0::DOUBLE"),
        "round_half": Both("ROUND(s / 2.0::DOUBLE PRECISION)", "round(s / 2.0::DOUBLE) + 0.0::DOUBLE"),
        "round_decimal": "ROUND(d, 0)",
        "floor": Both("FLOOR(x / 1e5)", "floor(x / 1e5) + 0.0::DOUBLE"),
        "ceil": Both("CEIL(x / 1e5)", "ceil(x / 1e5) + 0.0::DOUBLE"),
        "power": Both("POWER(g, 2)", "power(g, 2)::DOUBLE"),
        "sqrt": "SQRT(ABS(g))",
        "mod": "MOD(s, 7)",
        "percent": "s % -7",
        "divide": Both("s / 50", "s // 50"),
        "decimal_product": "(d * 2)::DECIMAL(19,0)",
        "case": "CASE g WHEN 1 THEN 'one' WHEN -1 THEN 'minus one' END",
        "coalesce": "COALESCE(k, 'none')",
        "nullif": "NULLIF(g, 0)",
        "greatest": "GREATEST(g, 0, s)",
        "least": "LEAST(g, s, 2)",
        "cast_half_even": Both("(s / 2.0::DOUBLE PRECISION)::INTEGER", "(s / 2.0::DOUBLE)::INTEGER"),
        "cast_half_away": Both("(s * 0.5)::INTEGER", "(s * 0.5)::INTEGER"),
        "try_cast": "TRY_CAST(SPLIT_PART(k, '-', 2) AS INTEGER)",
        "date_trunc": "DATE_TRUNC('minute', ts)",
        "date_trunc_week": "DATE_TRUNC('week', ts)",
        "extract_second": Both("EXTRACT(second FROM ts)", "extract(microseconds FROM ts) / 1e6"),
        "extract_minute": Both("EXTRACT(minute FROM ts)", "extract(minute FROM ts)::DOUBLE"),
        "extract_epoch": Both("FLOOR(EXTRACT(epoch FROM ts) / 10)", "floor(epoch(ts) / 10)"),
        "extract_week": Both("EXTRACT(week FROM day)", "extract(week FROM day)::DOUBLE"),
        "date_part": Both("DATE_PART('year', day)", "date_part('year', day)::DOUBLE"),
        "plus_interval": "DATE_TRUNC('hour', ts + INTERVAL '1 month')",
        "cast_date": "(ts - INTERVAL '6 hours')::DATE",
        "boolean": "n > 0",
        "text_of_boolean": "flag::VARCHAR",
        "text_of_decimal": "d::VARCHAR",
        "no_negative_zero": Both("CASE WHEN g = 0 THEN -0.0::DOUBLE PRECISION ELSE 0.0::DOUBLE PRECISION END", "0.0::DOUBLE"),
    }
    for number, (name, key) in enumerate(keys.items()):
        stream = streams[("new", "epoch", "old")[number % 3]]
        yield Case(f"function_{name}", stream, tumble("2 minutes"), (("key", key),), (COUNT,))
    arguments = (
        plain("doubled", "SUM(n * 2 + g)"),
        plain("product", "SUM(d * d)"),
        plain("longest", "MAX(LENGTH(k))"),
        plain("lowest", "MIN(LOWER(k))"),
        plain("cases", "SUM(CASE WHEN flag THEN 1 ELSE 0 END)"),
        plain("filled", "SUM(COALESCE(n, 1))"),
        plain("days", "COUNT(DISTINCT DATE_TRUNC('month', day))"),
    )
    yield Case("functions_in_arguments", streams["new"], hop("30 seconds", "1 minute"), (G,), arguments)


def other_cases(streams):
    columns = (COUNT, SUM_N, SUM_D, plain("min_k", "MIN(k)"), exact("avg_x", "avg", "x"))
    many_keys = (K, G, FLAG, ("day", "day"))
    yield Case("json_lines", streams["json"], hop("10 seconds", "40 seconds"), (K,), columns)
    yield Case("json_late", streams["json"], NO_WINDOW, late_rows=True)
    yield Case("parquet", streams["parquet"], hop("10 seconds", "40 seconds"), (K,), columns)
    yield Case("parquet_late", streams["parquet"], NO_WINDOW, late_rows=True)
    yield Case("malformed_rows", streams["malformed"], tumble("30 seconds"), (G,), columns)
    yield Case("many_keys", streams["new"], tumble("1 minute"), many_keys, columns)
    yield Case("decimal_key", streams["epoch"], tumble("10 minutes"), (("d", "d"),), (COUNT,))
    yield Case("double_key", streams["new"], tumble("10 minutes"), (("x", "x"),), (COUNT,))
    yield Case("real_key", streams["epoch"], tumble("10 minutes"), (("r", "r"),), (COUNT,))
    yield Case("big_key", streams["old"], tumble("10 minutes"), (("big", "big"),), (COUNT,))
    yield Case("time_key", streams["old"], tumble("10 minutes"), (("at", "ts"),), (COUNT,))
    yield Case("no_keys", streams["old"], hop("5 seconds", "10 seconds"), (), columns)
    yield Case("window_end_only", streams["new"], tumble("10 seconds"), (G,), columns, bounds=("window_end",))
    yield Case("window_start_only", streams["new"], hop("5 seconds", "10 seconds"), (G,), columns, bounds=("window_start",))
    yield Case("running_totals", streams["old"], NO_WINDOW, (K,), columns, changelog=True)
    yield Case("running_total_of_all", streams["new"], NO_WINDOW, (), columns, changelog=True)
    yield Case("updates_of_windows", streams["new"], hop("10 seconds", "30 seconds"), (G,), columns, changelog=True)
    yield Case("updates_of_sessions", streams["epoch"], session("2 seconds"), (G,), columns, changelog=True)
    yield Case("updates_with_having", streams["old"], tumble("20 seconds"), (G,), columns, having="COUNT(*) % 2 = 0", changelog=True)
    yield Case("sink_jsonl", streams["epoch"], tumble("20 seconds"), (K,), (COUNT, SUM_N, plain("min_flag", "BOOL_AND(flag)")), sink_format="jsonl")
    yield Case("sink_parquet", streams["new"], tumble("20 seconds"), (K,), (COUNT, SUM_N, SUM_D, exact("x", "sum", "x"), plain("day", "MAX(day)")), sink_format="parquet")
    yield Case("sink_sorted", streams["old"], tumble("10 seconds"), (("id_of", "id % 50"),), (COUNT,), is_sorted=True)


def all_cases(flight_log, seeds):
    cases = list(flight_cases(flight_log))
    for seed in range(1, seeds + 1):
        cases.extend(random_cases(seed))
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "names of cases are unique"
    return cases
