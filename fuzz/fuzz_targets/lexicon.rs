#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("lexicon"), |data: &[u8]| vivavoce_fuzz::run("lexicon", data));
