#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("list"), |data: &[u8]| vivavoce_fuzz::run("list", data));
