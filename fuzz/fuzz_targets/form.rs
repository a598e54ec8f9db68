#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("form"), |data: &[u8]| vivavoce_fuzz::run("form", data));
