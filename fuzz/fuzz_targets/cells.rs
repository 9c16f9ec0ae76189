//! Fuzzes [`raympp_tests::fuzz::cells`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raympp_tests::fuzz::cells(data));
