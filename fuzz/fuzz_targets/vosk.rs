#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("vosk"), |data: &[u8]| vivavoce_fuzz::run("vosk", data));
