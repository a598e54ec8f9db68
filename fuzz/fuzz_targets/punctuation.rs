#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("punctuation"), |data: &[u8]| vivavoce_fuzz::run("punctuation", data));
