#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("ctm"), |data: &[u8]| vivavoce_fuzz::run("ctm", data));
