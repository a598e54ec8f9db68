#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("wyoming"), |data: &[u8]| vivavoce_fuzz::run("wyoming", data));
