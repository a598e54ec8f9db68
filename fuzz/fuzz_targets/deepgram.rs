#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("deepgram"), |data: &[u8]| vivavoce_fuzz::run("deepgram", data));
