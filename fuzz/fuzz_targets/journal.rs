#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("journal"), |data: &[u8]| vivavoce_fuzz::run("journal", data));
