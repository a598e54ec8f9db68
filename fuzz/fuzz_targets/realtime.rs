#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("realtime"), |data: &[u8]| vivavoce_fuzz::run("realtime", data));
