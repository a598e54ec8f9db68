#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("wav"), |data: &[u8]| vivavoce_fuzz::run("wav", data));
