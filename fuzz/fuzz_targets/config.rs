#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("config"), |data: &[u8]| vivavoce_fuzz::run("config", data));
