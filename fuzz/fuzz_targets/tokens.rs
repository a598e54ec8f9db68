#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("tokens"), |data: &[u8]| vivavoce_fuzz::run("tokens", data));
