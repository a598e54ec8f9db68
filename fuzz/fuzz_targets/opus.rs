#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("opus"), |data: &[u8]| vivavoce_fuzz::run("opus", data));
