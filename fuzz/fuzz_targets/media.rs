#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("media"), |data: &[u8]| vivavoce_fuzz::run("media", data));
