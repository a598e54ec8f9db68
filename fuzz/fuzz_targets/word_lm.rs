#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("word_lm"), |data: &[u8]| vivavoce_fuzz::run("word_lm", data));
