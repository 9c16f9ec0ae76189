//! The model: which event is what, and what its fields hold.
//!
//! Events are numbered over all tables: in each group of 50, number 0 is a person, 1 to 3 are auctions, 4 to 49 are bids. Ids of
//! persons and auctions count from 1,000. References go to recent things: three in four to the newest *hot* one (the first of the last
//! hundred), else to one of the last so many, or a few ahead of the newest, as in the public generator. Every field draws from
//! its own sequence, so that a stream may declare any subset of the columns.

use super::Kind;
use super::letters::{push_extra, push_letters, url};
use crate::source::random::{self, Sequence};
use arrow::array::{ArrayRef, StringArray};
use std::fmt::Write;
use std::sync::Arc;

const GROUP: u64 = 50;
const AUCTIONS: u64 = 3;
const BIDS: u64 = 46;
const FIRST_ID: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// Persons who bid and sell, per auction in flight.
const ACTIVE_PERSONS: u64 = 10;
/// Ids may be this far ahead of the newest.
const LEAD: u64 = 10;
/// One in this many persons and auctions is hot.
const HOT_EVERY: u64 = 100;
const HOT_SELLER_ODDS: u64 = 4;
const HOT_BIDDER_ODDS: u64 = 4;
const HOT_AUCTION_ODDS: u64 = 2;
const HOT_CHANNEL_ODDS: u64 = 2;
const CHANNELS: u64 = 10_000;

const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const STATES: [&str; 6] = ["az", "ca", "id", "or", "wa", "wy"];
const CITIES: [&str; 10] =
    ["phoenix", "los angeles", "san francisco", "boise", "portland", "bend", "redmond", "seattle", "kent", "cheyenne"];
const FIRST_NAMES: [&str; 11] = ["peter", "paul", "luke", "john", "saul", "vicky", "kate", "julie", "sarah", "deiter", "walter"];
const LAST_NAMES: [&str; 9] = ["shultz", "abrams", "spencer", "white", "bartels", "walton", "smith", "jones", "noris"];

/// What of the model can be chosen.
#[derive(Clone, Copy)]
pub(super) struct Model {
    /// Auctions that bids go to, apart from hot ones.
    pub(super) auctions_in_flight: u64,
    /// Event times go back by up to this much.
    pub(super) out_of_orderness_us: u64,
}

impl Model {
    /// As in the benchmark.
    pub(super) const AUCTIONS_IN_FLIGHT: u64 = 100;
}

/// A table of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Person,
    Auction,
    Bid,
}

impl Table {
    pub(super) fn named(name: &str) -> Option<Table> {
        match name {
            "person" => Some(Table::Person),
            "auction" => Some(Table::Auction),
            "bid" => Some(Table::Bid),
            _ => None,
        }
    }

    /// Names and kinds of its columns.
    pub(super) fn columns(self) -> &'static [(&'static str, Kind)] {
        use Kind::{Listed, Number, Text, Time};
        match self {
            Table::Person => &[
                ("id", Number),
                ("name", Listed),
                ("email_address", Text),
                ("credit_card", Text),
                ("city", Listed),
                ("state", Listed),
                ("date_time", Time),
                ("extra", Text),
            ],
            Table::Auction => &[
                ("id", Number),
                ("item_name", Text),
                ("description", Text),
                ("initial_bid", Number),
                ("reserve", Number),
                ("date_time", Time),
                ("expires", Time),
                ("seller", Number),
                ("category", Number),
                ("extra", Text),
            ],
            Table::Bid => &[
                ("auction", Number),
                ("bidder", Number),
                ("price", Number),
                ("channel", Listed),
                ("url", Listed),
                ("date_time", Time),
                ("extra", Text),
            ],
        }
    }

    /// Events of all tables per row of this one, as a fraction.
    pub(super) fn events_per_row(self) -> (u64, u64) {
        match self {
            Table::Person => (GROUP, 1),
            Table::Auction => (GROUP, AUCTIONS),
            Table::Bid => (GROUP, BIDS),
        }
    }

    /// Number of a row's event, over all tables.
    fn event_number(self, row: u64) -> u64 {
        match self {
            Table::Person => row * GROUP,
            Table::Auction => row / AUCTIONS * GROUP + 1 + row % AUCTIONS,
            Table::Bid => row / BIDS * GROUP + 1 + AUCTIONS + row % BIDS,
        }
    }
}

/// The lists of strings that rows point into.
pub(super) struct Vocabulary {
    names: ArrayRef,
    cities: ArrayRef,
    states: ArrayRef,
    channels: ArrayRef,
    urls: ArrayRef,
}

impl Vocabulary {
    pub(super) fn new(seed: u64) -> Vocabulary {
        let list = |strings: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(strings)) };
        let copies = |strings: &[&str]| strings.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let names = FIRST_NAMES.iter().flat_map(|first| LAST_NAMES.iter().map(move |last| format!("{first} {last}")));
        let channels = copies(&HOT_CHANNELS).into_iter().chain((0..CHANNELS).map(|number| format!("channel-{number}")));
        let urls = (0..HOT_CHANNELS.len() as u64 + CHANNELS).map(|number| channel_url(seed, number));
        Vocabulary {
            names: list(names.collect()),
            cities: list(copies(&CITIES)),
            states: list(copies(&STATES)),
            channels: list(channels.collect()),
            urls: list(urls.collect()),
        }
    }

    /// The strings of a listed column.
    pub(super) fn list(&self, column: &str) -> &ArrayRef {
        match column {
            "name" => &self.names,
            "city" => &self.cities,
            "state" => &self.states,
            "channel" => &self.channels,
            _ => &self.urls,
        }
    }
}

/// Address of a channel: nine in ten of those that are not hot name a channel id.
fn channel_url(seed: u64, number: u64) -> String {
    let mut random = Sequence::new(seed ^ 0x75_726C, number);
    let mut address = url(&mut random);
    if number >= HOT_CHANNELS.len() as u64 && random.below(10) > 0 {
        let id = random.next() >> 33;
        // Writing to a String does not fail.
        let _ = write!(address, "&channel_id={id}");
    }
    address
}

/// One row of a table.
pub(super) struct Event<'a> {
    pub(super) table: Table,
    pub(super) row: u64,
    pub(super) seed: u64,
    pub(super) model: Model,
    pub(super) vocabulary: &'a Vocabulary,
}

impl Event<'_> {
    /// The random numbers of a field. Fields that belong together name one field.
    fn random(&self, field: &str) -> Sequence {
        let field = field.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Sequence::new(random::at(self.seed, field), self.table.event_number(self.row))
    }

    /// A BIGINT field.
    pub(super) fn number(&self, column: &str) -> i64 {
        let number = match (self.table, column) {
            (_, "id") => FIRST_ID + self.row,
            (Table::Auction, "initial_bid") => self.price("initial_bid"),
            (Table::Auction, "reserve") => self.price("initial_bid") + self.price("reserve"),
            (Table::Auction, "seller") => FIRST_ID + self.person("seller", HOT_SELLER_ODDS, 0),
            (Table::Auction, _) => FIRST_CATEGORY + self.random("category").below(CATEGORIES),
            (_, "auction") => FIRST_ID + self.auction(),
            (_, "bidder") => FIRST_ID + self.person("bidder", HOT_BIDDER_ODDS, 1),
            _ => self.price("price"),
        };
        number as i64
    }

    /// In cents: 100 times a power of ten from 0 to 6.
    fn price(&self, field: &str) -> u64 {
        let exponent = random::unit(self.random(field).next()) * 6.0;
        (10f64.powf(exponent) * 100.0).round() as u64
    }

    /// A recent person, counted from 0.
    fn person(&self, field: &str, odds: u64, hot: u64) -> u64 {
        let newest = self.table.event_number(self.row) / GROUP;
        let mut random = self.random(field);
        if random.below(odds) > 0 {
            return newest / HOT_EVERY * HOT_EVERY + hot;
        }
        let active = (newest + 1).min(ACTIVE_PERSONS * self.model.auctions_in_flight);
        newest + 1 - active + random.below(active + LEAD)
    }

    /// A recent auction, counted from 0, for a bid.
    fn auction(&self) -> u64 {
        let newest = self.table.event_number(self.row) / GROUP * AUCTIONS + AUCTIONS - 1;
        let mut random = self.random("auction");
        if random.below(HOT_AUCTION_ODDS) > 0 {
            return newest / HOT_EVERY * HOT_EVERY;
        }
        let oldest = newest.saturating_sub(self.model.auctions_in_flight);
        oldest + random.below(newest - oldest + 1 + LEAD)
    }

    /// A time field, in microseconds after the first event, at `events` of all tables in `seconds`.
    pub(super) fn time(&self, column: &str, (events, seconds): (u64, u64)) -> i64 {
        let number = self.table.event_number(self.row);
        let us = |number: u64| {
            let us = u128::from(number) * 1_000_000 * u128::from(seconds) / u128::from(events);
            i64::try_from(us).unwrap_or(i64::MAX)
        };
        if column != "expires" {
            let back = self.random("out_of_orderness").below(self.model.out_of_orderness_us + 1);
            return us(number).saturating_sub(back as i64);
        }
        let horizon = us(number + self.model.auctions_in_flight * GROUP / AUCTIONS) - us(number);
        us(number).saturating_add(1 + self.random("expires").below((horizon as u64 * 2).max(1)) as i64)
    }

    /// Position in the column's list of strings.
    pub(super) fn listed(&self, column: &str) -> i32 {
        // A channel and its address are one choice.
        let mut random = self.random(if column == "url" { "channel" } else { column });
        let hot = HOT_CHANNELS.len() as u64;
        let position = match column {
            "channel" | "url" if random.below(HOT_CHANNEL_ODDS) > 0 => random.below(hot),
            "channel" | "url" => hot + random.below(CHANNELS),
            _ => random.below(self.vocabulary.list(column).len() as u64),
        };
        position as i32
    }

    /// Appends the text of a VARCHAR field.
    pub(super) fn text(&self, column: &str, out: &mut String) {
        let mut random = self.random(column);
        match (self.table, column) {
            (_, "email_address") => {
                push_letters(out, &mut random, 7);
                out.push('@');
                push_letters(out, &mut random, 5);
                out.push_str(".com");
            }
            (_, "credit_card") => {
                let part = |random: &mut Sequence| random.below(10_000);
                let (a, b, c, d) = (part(&mut random), part(&mut random), part(&mut random), part(&mut random));
                // Writing to a String does not fail.
                let _ = write!(out, "{a:04} {b:04} {c:04} {d:04}");
            }
            (_, "item_name") => push_letters(out, &mut random, 20),
            (_, "description") => push_letters(out, &mut random, 100),
            (Table::Person, _) => push_extra(out, &mut random, 75, 200),
            (Table::Auction, _) => push_extra(out, &mut random, 168, 500),
            (Table::Bid, _) => push_extra(out, &mut random, 32, 100),
        }
    }
}
