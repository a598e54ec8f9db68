#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("weights"), |data: &[u8]| vivavoce_fuzz::run("weights", data));
