//! Fuzzes [`raympp_tests::fuzz::csv`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raympp_tests::fuzz::csv(data));
