#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("pcm"), |data: &[u8]| vivavoce_fuzz::run("pcm", data));
