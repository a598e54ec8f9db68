#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("lm"), |data: &[u8]| vivavoce_fuzz::run("lm", data));
