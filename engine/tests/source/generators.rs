//! Generators: rows by number, pace, and the shape of the data.

use super::support::{check_cuts_and_resumption, plan, read, read_from};
use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use raympp_engine::source::{Fingerprint, Source, SourceErrorKind, SourcePoll, create};
use raympp_types::Offset;
use std::collections::BTreeSet;
use std::sync::Arc;

const PAYMENTS: &str = "payment_id BIGINT, channel VARCHAR, merchant VARCHAR, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP";

fn source(connector: &str, columns: &str, options: &[(&str, &str)]) -> Box<dyn Source> {
    create(&plan(connector, columns, options)).expect("a generator")
}

#[test]
fn payments_resume_anywhere_in_any_batch_size() {
    for options in [&[][..], &[("skew", "1.1"), ("out_of_orderness", "3s"), ("keys", "7")], &[("splits", "3"), ("seed", "9")]] {
        let options = [&[("rows", "3001")], options].concat();
        let source = source("payments", PAYMENTS, &options);
        let splits = source.splits().expect("splits").len();
        (0..splits).for_each(|split| check_cuts_and_resumption(source.as_ref(), split, &[0, 1, 500, 1_000]));
    }
}

#[test]
fn splits_deal_out_the_same_rows() {
    let rows = |splits: &str| -> BTreeSet<String> {
        let source = source("payments", PAYMENTS, &[("rows", "1000"), ("splits", splits)]);
        let count = source.splits().expect("splits").len();
        (0..count).flat_map(|split| read_from(source.as_ref(), split, 0, 64).0).map(|row| row.1.expect("good")).collect()
    };
    assert_eq!(rows("1").len(), 1_000);
    assert_eq!(rows("1"), rows("7"));
}

#[test]
fn seeds_differ_and_columns_do_not_depend_on_each_other() {
    let all = read(source("payments", PAYMENTS, &[("rows", "100")]).as_ref());
    let other = read(source("payments", PAYMENTS, &[("rows", "100"), ("seed", "43")]).as_ref());
    assert_ne!(all, other);
    let some = read(source("payments", "status VARCHAR, amount DECIMAL(18,2)", &[("rows", "100")]).as_ref());
    for (row, part) in all.iter().zip(&some) {
        let row: serde_json::Value = serde_json::from_str(row.as_deref().expect("good")).expect("JSON");
        let part: serde_json::Value = serde_json::from_str(part.as_deref().expect("good")).expect("JSON");
        assert_eq!((&row["status"], &row["amount"]), (&part["status"], &part["amount"]));
    }
}

#[test]
fn strings_share_one_dictionary() {
    let source = source("payments", "channel VARCHAR", &[("keys", "5")]);
    let mut reader = source.open(0, Offset(0)).expect("opens");
    let mut values = Vec::new();
    for _ in 0..3 {
        let Ok(SourcePoll::Rows(run)) = reader.poll(0, 100) else { panic!("endless") };
        values.push(run.batch.column(0).as_dictionary::<Int32Type>().values().clone());
    }
    assert!(values.iter().all(|other| Arc::ptr_eq(other, &values[0])));
    let names: Vec<_> = values[0].as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["channel-000", "channel-001", "channel-002", "channel-003", "channel-004"]);
}

#[test]
fn one_channel_at_a_time_degrades_and_recovers() {
    let source = source(
        "payments",
        "channel BIGINT, status VARCHAR, event_time TIMESTAMP",
        &[("rows", "600000"), ("event_rate", "1000"), ("keys", "10"), ("degrade_every", "60s")],
    );
    let mut reader = source.open(0, Offset(0)).expect("opens");
    // Per minute and channel: payments and successes.
    let mut counts = vec![[(0u32, 0u32); 10]; 10];
    while let Ok(SourcePoll::Rows(run)) = reader.poll(0, 8_192) {
        let channels = run.batch.column(0).as_primitive::<Int64Type>();
        let statuses = run.batch.column(1).as_dictionary::<Int32Type>();
        let times = run.batch.column(2).as_primitive::<TimestampMicrosecondType>();
        for row in 0..run.batch.num_rows() {
            let minute = (times.value(row) - 1_704_067_200_000_000) / 60_000_000;
            let count = &mut counts[minute as usize][channels.value(row) as usize];
            count.0 += 1;
            count.1 += u32::from(statuses.keys().value(row) == 0);
        }
    }
    for minute in &counts {
        let rates: Vec<f64> = minute.iter().map(|count| f64::from(count.1) / f64::from(count.0)).collect();
        let degraded = rates.iter().filter(|&&rate| rate < 0.9).count();
        assert_eq!(degraded, 1, "{rates:?}");
        assert!(rates.iter().all(|&rate| rate > 0.55 && rate < 0.99), "{rates:?}");
    }
}

#[test]
fn event_time_goes_back_by_no_more_than_it_may() {
    let source = source("payments", "event_time TIMESTAMP", &[("rows", "10000"), ("event_rate", "1000"), ("out_of_orderness", "2s")]);
    let mut reader = source.open(0, Offset(0)).expect("opens");
    let mut furthest_back = 0;
    while let Ok(SourcePoll::Rows(run)) = reader.poll(0, 100) {
        for (row, time) in run.batch.column(0).as_primitive::<TimestampMicrosecondType>().values().iter().enumerate() {
            let in_order = 1_704_067_200_000_000 + (run.from.0 as i64 + row as i64) * 1_000;
            assert!(*time <= in_order);
            furthest_back = furthest_back.max(in_order - time);
        }
    }
    assert!((1_900_000..=2_000_000).contains(&furthest_back), "{furthest_back}");
}

#[test]
fn a_rate_paces_rows_by_the_clock_given() {
    let source = source("payments", "payment_id BIGINT, event_time TIMESTAMP", &[("rate", "1000"), ("start", "now"), ("splits", "2")]);
    assert!(source.endless());
    let begin = 1_800_000_000_000_000u64;
    let mut readers = [source.open(0, Offset(0)).expect("opens"), source.open(1, Offset(0)).expect("opens")];
    let mut rows = [0, 0];
    for (reader, rows) in readers.iter_mut().zip(&mut rows) {
        for now in (begin..=begin + 1_000_000).step_by(250) {
            match reader.poll(now, 1_000).expect("rows") {
                SourcePoll::Rows(run) => {
                    *rows += run.batch.num_rows();
                    let times = run.batch.column(1).as_primitive::<TimestampMicrosecondType>();
                    assert!(
                        times.values().iter().all(|&time| time as u64 <= now && time as u64 + 2_000 > now - 250),
                        "event time follows the clock"
                    );
                }
                SourcePoll::Pending { retry_at_us } => assert!(retry_at_us.is_some_and(|retry| retry > now && retry <= now + 2_000)),
                SourcePoll::End => panic!("endless"),
            }
        }
    }
    assert_eq!(rows, [501, 500]);
}

#[test]
fn a_reader_opened_later_paces_on_from_its_offset() {
    let source = source("payments", "payment_id BIGINT", &[("rate", "0.5")]);
    let mut reader = source.open(0, Offset(1_000)).expect("opens");
    assert!(matches!(reader.poll(5_000_000, 10), Ok(SourcePoll::Rows(run)) if run.from == Offset(1_000) && run.batch.num_rows() == 1));
    assert!(matches!(reader.poll(5_000_001, 10), Ok(SourcePoll::Pending { retry_at_us: Some(7_000_000) })));
    assert!(matches!(reader.poll(11_000_000, 10), Ok(SourcePoll::Rows(run)) if run.batch.num_rows() == 3));
}

#[test]
fn options_and_columns_are_checked() {
    for (connector, columns, options, kind) in [
        ("payments", "nonsense BIGINT", &[][..], SourceErrorKind::Type),
        ("payments", "amount DECIMAL(4,2)", &[], SourceErrorKind::Type),
        ("payments", "channel VARCHAR", &[("keys", "0")], SourceErrorKind::Option),
        ("payments", "channel VARCHAR", &[("rate", "-1")], SourceErrorKind::Option),
        ("payments", "channel VARCHAR", &[("start", "yesterday")], SourceErrorKind::Option),
        ("payments", "channel VARCHAR", &[("speed", "1")], SourceErrorKind::Option),
        ("nexmark", "price BIGINT", &[("table", "bids")], SourceErrorKind::Option),
        ("nexmark", "price VARCHAR", &[("table", "bid")], SourceErrorKind::Type),
        ("kafka", "a BIGINT", &[], SourceErrorKind::UnknownConnector),
    ] {
        match create(&plan(connector, columns, options)) {
            Err(error) => assert_eq!(error.kind, kind, "{error}"),
            Ok(_) => panic!("{connector} {columns} {options:?} should not work"),
        }
    }
}

#[test]
fn a_generator_with_other_options_is_not_the_same() {
    let options = [("rows", "10"), ("seed", "1")];
    let first = source("payments", "payment_id BIGINT", &options);
    let fingerprint = first.splits().expect("splits")[0].fingerprint.clone();
    assert!(matches!(fingerprint, Fingerprint::Generator(_)));
    assert!(first.open_again(0, Offset(5), &fingerprint).is_ok());
    let other = source("payments", "payment_id BIGINT", &[("rows", "10"), ("seed", "2")]);
    assert_eq!(other.open_again(0, Offset(5), &fingerprint).err().map(|error| error.kind), Some(SourceErrorKind::Replaced));
    assert_eq!(first.open(0, Offset(11)).err().map(|error| error.kind), Some(SourceErrorKind::OffsetBeyondEnd));
    assert!(first.open(1, Offset(0)).is_err());
}

const BIDS: &str = "auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR";
const AUCTIONS: &str = "id BIGINT, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP, \
                        expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR";
const PERSONS: &str =
    "id BIGINT, name VARCHAR, email_address VARCHAR, credit_card VARCHAR, city VARCHAR, state VARCHAR, date_time TIMESTAMP, extra VARCHAR";

#[test]
fn nexmark_resumes_anywhere_in_any_batch_size() {
    for (table, columns) in [("bid", BIDS), ("auction", AUCTIONS), ("person", PERSONS)] {
        for more in [&[][..], &[("keys", "3"), ("out_of_orderness", "2s")]] {
            let options = [&[("table", table), ("rows", "1000"), ("splits", "2")], more].concat();
            let source = source("nexmark", columns, &options);
            (0..2).for_each(|split| check_cuts_and_resumption(source.as_ref(), split, &[0, 1, 333]));
        }
    }
}

#[test]
fn nexmark_keys_and_order_are_as_asked() {
    let rows = |columns: &str, more: &[(&str, &str)]| -> Vec<serde_json::Value> {
        let options = [&[("table", "bid"), ("rows", "46000"), ("event_rate", "10000")], more].concat();
        let rows = read(source("nexmark", columns, &options).as_ref());
        rows.iter().map(|row| serde_json::from_str(row.as_deref().expect("good")).expect("JSON")).collect()
    };
    for (keys, few) in [("5", 5), ("2000", 2_000)] {
        let bids = rows("auction BIGINT", &[("keys", keys)]);
        // Bid 46 n is made when auctions up to 3 n + 2 are known; ids may be ten ahead. Hot ones are multiples of 100.
        let behind = |(number, bid): (usize, &serde_json::Value)| {
            let (newest, auction) = (number as i64 / 46 * 3 + 2, bid["auction"].as_i64().expect("a number") - 1_000);
            (auction % 100 != 0).then_some(newest - auction)
        };
        let behind: Vec<i64> = bids.iter().enumerate().filter_map(behind).collect();
        let oldest = behind.iter().max().copied().unwrap_or(0);
        assert!(behind.iter().all(|&behind| behind >= -10) && oldest <= few && oldest > few * 9 / 10, "{keys}: {oldest}");
    }
    let times = |more: &[(&str, &str)]| -> Vec<i64> {
        let source = source("nexmark", "date_time TIMESTAMP", &[&[("table", "bid"), ("rows", "10000")], more].concat());
        let mut reader = source.open(0, Offset(0)).expect("opens");
        let mut times = Vec::new();
        while let Ok(SourcePoll::Rows(run)) = reader.poll(0, 1_000) {
            times.extend_from_slice(run.batch.column(0).as_primitive::<TimestampMicrosecondType>().values());
        }
        times
    };
    let back: Vec<i64> = times(&[]).iter().zip(times(&[("out_of_orderness", "2s")])).map(|(straight, time)| straight - time).collect();
    assert!(back.len() == 10_000 && back.iter().all(|back| (0..=2_000_000).contains(back)));
    assert!(back.iter().max() > Some(&1_900_000) && back.iter().min() < Some(&100_000));
}

#[test]
fn nexmark_tables_fit_together() {
    let rows = |table: &str, columns: &str, rows: &str| -> Vec<serde_json::Value> {
        let rows = read(source("nexmark", columns, &[("table", table), ("rows", rows)]).as_ref());
        rows.iter().map(|row| serde_json::from_str(row.as_deref().expect("good")).expect("JSON")).collect()
    };
    let (persons, auctions, bids) = (rows("person", PERSONS, "100"), rows("auction", AUCTIONS, "300"), rows("bid", BIDS, "4600"));
    assert_eq!((&persons[99]["id"], &auctions[299]["id"]), (&1_099.into(), &1_299.into()));
    assert_eq!(persons[1]["date_time"], "2024-01-01 00:00:00.005000");
    assert_eq!(auctions[3]["date_time"], "2024-01-01 00:00:00.005100");
    assert_eq!(bids[46]["date_time"], "2024-01-01 00:00:00.005400");
    let hot = bids.iter().filter(|bid| bid["auction"].as_u64().is_some_and(|id| (id - 1_000) % 100 == 0)).count();
    assert!((2_100..2_600).contains(&hot), "half of the bids go to hot auctions: {hot}");
    assert!(bids.iter().all(|bid| bid["auction"].as_u64().is_some_and(|id| (1_000..1_310).contains(&id))));
    assert!(bids.iter().all(|bid| bid["price"].as_u64().is_some_and(|price| (100..=100_000_000).contains(&price))));
    assert!(
        auctions
            .iter()
            .all(|row| row["expires"].as_str() > row["date_time"].as_str() && row["reserve"].as_u64() > row["initial_bid"].as_u64())
    );
}
