#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("settings"), |data: &[u8]| vivavoce_fuzz::run("settings", data));
