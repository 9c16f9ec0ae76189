//! Fuzzes [`raympp_tests::fuzz::sql`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raympp_tests::fuzz::sql(data));
