#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("hotwords"), |data: &[u8]| vivavoce_fuzz::run("hotwords", data));
